import type { Engine } from '../../engine/engine.ts'
import type { SignInBrake } from './sign-in-brake.ts'

/** What the handlers of users, sessions and tokens work with. */
export type AccessContext = { readonly engine: Engine; readonly brake: SignInBrake }
