// Placeholder until the commit handler is written: it fails rather than lose an event.
export async function handler(): Promise<never> {
  throw new Error("the commit handler is not built yet");
}
