/**
 * The binary starts with a compiler that hardly ever compiles (`jitPolicy` in scripts/build.ts): what runs once is not
 * worth it, and at a start every core has something better to do. Each thread that goes on to work says so here.
 */
export function compileFromNowOn(): void {
  Bun.unsafe.setJITPolicy(1);
}
