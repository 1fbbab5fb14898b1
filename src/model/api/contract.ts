/** The public API, one row a route. Names are accepted wherever ids are. */
import { clusterRoutes } from './cluster-routes.ts'
import { hostRoutes } from './host-routes.ts'
import type { Contract } from './route.ts'
import { vmRoutes } from './vm-routes.ts'

export const apiContract = { ...vmRoutes, ...hostRoutes, ...clusterRoutes } as const satisfies Contract
export type ApiContract = typeof apiContract
