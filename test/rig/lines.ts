/** What a fenced script says, line by line, while it runs. */

/** A script that prints the status of one request after another, or what the gateway refused it for. */
export const keepAsking = (host: string, condition = ':') =>
  `while ${condition}; do curl -s -o /dev/null -D - http://${host}/hello | tr -d '\\r' |
    sed -n 's/^HTTP.* \\([0-9]*\\) .*/\\1/p; s/X-Clawctl-Reason: //p' | tail -n 1; sleep 0.05; done`;

export interface Lines {
  /** Resolves to the next line that holds the text; rejects where the stream ends without one. */
  until(text: string): Promise<string>;
  /** Every line so far. */
  all: readonly string[];
}

export function linesOf(stream: ReadableStream<Uint8Array>): Lines {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  const all: string[] = [];
  let begun = '';
  let read = 0;
  return {
    all,
    async until(text) {
      for (;;) {
        while (read < all.length) {
          const line = all[read++]!;
          if (line.includes(text)) return line;
        }
        const { done, value } = await reader.read();
        if (done) throw new Error(`it ended without '${text}': ${all.slice(-5).join(' | ')}`);
        const parts = (begun + decoder.decode(value, { stream: true })).split('\n');
        begun = parts.pop()!;
        all.push(...parts);
      }
    },
  };
}
