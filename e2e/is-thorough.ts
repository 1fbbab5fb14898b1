/**
 * Whether a file of end-to-end tests runs in its long form (`npm run e2e -- FILE --rounds N`): with every case of its kind, not only with
 * those that `npm test` has time for; and how often.
 */
export const isThorough: boolean = process.env['ROUNDS'] !== undefined
export const rounds = Number(process.env['ROUNDS'] ?? 1)
