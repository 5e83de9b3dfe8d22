/** What must hold, by the name of a figure. */
interface Limit {
  figure: RegExp;
  atMost?: number;
  atLeast?: number;
}

export const LIMITS: readonly Limit[] = [
  { figure: /^start_ms: run -- true$/, atMost: 50 },
  { figure: /^start: times bare bwrap/, atMost: 10 },
  { figure: /^start: of the peer/, atMost: 0.15 },
  { figure: /^throughput: .*of direct/, atLeast: 0.55 },
  { figure: /^CPU microseconds a tunnel, of Squid's$/, atMost: 0.55 },
  { figure: /^refusals a CPU second, of Squid's$/, atLeast: 2 },
  { figure: /^CPU seconds a GB, of Squid's$/, atMost: 0.75 },
  { figure: /^KB an idle tunnel, of Squid's$/, atMost: 0.25 },
  { figure: /^requests a CPU second, of Squid's$/, atLeast: 1 },
  { figure: /^CPU a tunnel beside 10000 idle ones, of none$/, atMost: 1.2 },
  { figure: /^CPU of two workers, of one$/, atMost: 1.1 },
  { figure: /^decide ns p99/, atMost: 2_000 },
  { figure: /^policy bytes a rule/, atMost: 300 },
  { figure: /^recorder_rows_per_second/, atLeast: 50_000 },
  { figure: /^recorder_p99_ms_one/, atMost: 1 },
  { figure: /^recorder_p99_ms_four/, atMost: 3 },
  { figure: /^stats_24h_ms/, atMost: 300 },
  { figure: /^alerts_core_share_more$/, atMost: 0.2 },
  { figure: /^alerts_flood_memory_mb$/, atMost: 64 },
];
