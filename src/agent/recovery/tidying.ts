/** A look at the layers of a machine's disks that is under way: what may be removed or merged. */
export type Tidying = { readonly controller: AbortController; readonly over: Promise<void>; progress: string }
