/** A workflow of another program, in a bundle that has none of ours. */
export async function somethingElse(): Promise<void> {}
