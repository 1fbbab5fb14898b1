/**
 * The one platform type that `src/model` and `src/control` may name: a signal that ends a wait travels through their
 * port types. It is a type only; `tsconfig.pure.json` gives them no platform values at all.
 */
interface AbortSignal {
  readonly aborted: boolean
}
