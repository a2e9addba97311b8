// stand-in
export async function handler(): Promise<void> {}
