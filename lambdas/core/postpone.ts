// What an invocation had no time for is sent anew and its messages are acknowledged: a message that comes back ten times ends in the
// dead-letter queue, and only attempts are to count for that. `attempt` carries the count over, so that a file which may have killed
// a function stays in small company, and one that was tried too often is not sent anew any more: nothing goes round for ever.

import { formatIntake, type ObjectEvent } from "./events.ts";
import type { Task } from "./load-plan.ts";

export interface Postponed {
  /** Messages of which nothing was tried. */
  readonly messageIds: readonly string[];
  /** What takes their place, one body for each message that named files of its own: a message's size and its source stay what they were. */
  readonly bodies: readonly string[];
  readonly files: number;
}

/** `tasks`: those never begun. `kept`: messages that come back anyway, because something else in them was tried. */
export function postpone(
  tasks: readonly Task[],
  kept: ReadonlySet<string>,
  { deliveriesMax }: { readonly deliveriesMax: number },
): Postponed {
  const tired = tasks.filter((task) => task.deliveries > deliveriesMax).flatMap((task) => task.messageIds);
  const staying = new Set([...kept, ...tired]);
  const events = new Map<string, ObjectEvent[]>();
  const messageIds = new Set<string>();
  for (const task of tasks) {
    const free = task.messageIds.filter((id) => !staying.has(id));
    const [first] = free;
    if (first === undefined) continue;
    for (const id of free) messageIds.add(id);
    events.set(first, [...(events.get(first) ?? []), asPostponed(task)]);
  }
  const bodies = [...events.values()];
  return { messageIds: [...messageIds], bodies: bodies.map(formatIntake), files: bodies.flat().length };
}

function asPostponed({ event, deliveries }: Task): ObjectEvent {
  return deliveries > 1 ? { ...event, attempt: deliveries } : event;
}
