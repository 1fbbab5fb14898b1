/** The public API, one row a route. Names are accepted wherever ids are. */
import { accessRoutes } from './access-routes.ts'
import { cloneRoutes } from './clone-routes.ts'
import { cloneSetRoutes } from './clone-set-routes.ts'
import { clusterRoutes } from './cluster-routes.ts'
import { drillRoutes } from './drill-routes.ts'
import { figureRoutes } from './figure-routes.ts'
import { firewallRoutes } from './firewall-routes.ts'
import { hostRoutes } from './host-routes.ts'
import { imageRoutes } from './image-routes.ts'
import { ledgerRoutes } from './ledger-routes.ts'
import { maintenanceRoutes } from './maintenance-routes.ts'
import { migrationRoutes } from './migration-routes.ts'
import { namingRoutes } from './naming-routes.ts'
import { networkRoutes } from './network-routes.ts'
import { placementRoutes } from './placement-routes.ts'
import { planRoutes } from './plan-routes.ts'
import { rebuildRoutes } from './rebuild-routes.ts'
import { recoveryRoutes } from './recovery-routes.ts'
import type { Contract } from './route.ts'
import { serviceRoutes } from './service-routes.ts'
import { snapshotRoutes } from './snapshot-routes.ts'
import { templateRoutes } from './template-routes.ts'
import { vmRoutes } from './vm-routes.ts'
import { volumeRoutes } from './volume-routes.ts'

export const apiContract = {
  ...vmRoutes,
  ...imageRoutes,
  ...cloneRoutes,
  ...cloneSetRoutes,
  ...templateRoutes,
  ...drillRoutes,
  ...recoveryRoutes,
  ...snapshotRoutes,
  ...serviceRoutes,
  ...ledgerRoutes,
  ...migrationRoutes,
  ...volumeRoutes,
  ...hostRoutes,
  ...clusterRoutes,
  ...figureRoutes,
  ...firewallRoutes,
  ...placementRoutes,
  ...planRoutes,
  ...maintenanceRoutes,
  ...networkRoutes,
  ...namingRoutes,
  ...accessRoutes,
  ...rebuildRoutes,
} as const satisfies Contract
export type ApiContract = typeof apiContract
