// Placeholder until the sweep handler is written: it fails rather than lose an event.
export async function handler(): Promise<never> {
  throw new Error("the sweep handler is not built yet");
}
