/** What has to be added and removed so that a machine has the tags that stand in a field, separated by blanks or commas. */
export function tagChange(
  tags: readonly string[],
  text: string,
): { readonly add: string[]; readonly remove: string[] } {
  const wanted = new Set(text.split(/[\s,]+/).filter((tag) => tag !== ''))
  return {
    add: [...wanted].filter((tag) => !tags.includes(tag)),
    remove: tags.filter((tag) => !wanted.has(tag)),
  }
}
