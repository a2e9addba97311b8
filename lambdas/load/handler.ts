// Placeholder until the load handler is written: it fails rather than lose an event.
export async function handler(): Promise<never> {
  throw new Error("the load handler is not built yet");
}
