// Two ways of doing the same, measured in turns: A B, B A, A B, ... Each turn gives one ratio and the median of them is the answer, so that
// whatever else the machine does meanwhile meets both sides. Beside wall time stands CPU time, which a busy machine changes little.

export interface Cost {
  readonly wallS: number;
  /** Of all threads of this process. */
  readonly cpuS: number;
}

export type Timed = (work: () => Promise<unknown>) => Promise<Cost>;
/** Calls `timed` once, around what counts. */
export type Side = (timed: Timed) => Promise<void>;

export async function cost(work: () => Promise<unknown>): Promise<Cost> {
  const [from, cpuFrom] = [performance.now(), process.cpuUsage()];
  await work();
  const { user, system } = process.cpuUsage(cpuFrom);
  return { wallS: (performance.now() - from) / 1000, cpuS: (user + system) / 1e6 };
}

export interface Duel {
  readonly ours: Cost;
  readonly theirs: Cost;
  /** Ours by theirs. */
  readonly wallRatio: number;
  readonly cpuRatio: number;
  readonly wallRatios: readonly number[];
}

export async function duel(rounds: number, ours: Side, theirs: Side): Promise<Duel> {
  const turns: { ours: Cost; theirs: Cost }[] = [];
  for (let round = 0; round < rounds; round++) {
    const oursFirst = round % 2 === 1;
    const first = await costOf(oursFirst ? ours : theirs);
    const second = await costOf(oursFirst ? theirs : ours);
    turns.push(oursFirst ? { ours: first, theirs: second } : { ours: second, theirs: first });
  }
  const of = (pick: (turn: { ours: Cost; theirs: Cost }) => number) => median(turns.map(pick));
  return {
    ours: { wallS: of((turn) => turn.ours.wallS), cpuS: of((turn) => turn.ours.cpuS) },
    theirs: { wallS: of((turn) => turn.theirs.wallS), cpuS: of((turn) => turn.theirs.cpuS) },
    wallRatio: of((turn) => turn.ours.wallS / turn.theirs.wallS),
    cpuRatio: of((turn) => turn.ours.cpuS / turn.theirs.cpuS),
    wallRatios: turns.map((turn) => turn.ours.wallS / turn.theirs.wallS),
  };
}

async function costOf(side: Side): Promise<Cost> {
  let measured: Cost | undefined;
  await side(async (work) => {
    measured = await cost(work);
    return measured;
  });
  if (measured === undefined) throw new Error("nothing was timed");
  return measured;
}

/** Of an even number the mean of the middle two. */
export function median(all: readonly number[]): number {
  const sorted = [...all].sort((a, b) => a - b);
  const [low, high] = [sorted[Math.floor((sorted.length - 1) / 2)], sorted[Math.floor(sorted.length / 2)]];
  return ((low as number) + (high as number)) / 2;
}
