/** Every handler of the public API, by the name of its route. */
import type { apiContract } from '../../model/api/contract.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import type { AccessContext } from '../access/access-context.ts'
import { accessHandlers } from '../access/access-handlers.ts'
import { cloneHandlers } from '../clones/clone-handlers.ts'
import { cloneSetHandlers } from '../clones/clone-set-handlers.ts'
import { type FigureContext, figureHandlers } from '../figures/figure-handlers.ts'
import { type ImageContext, imageHandlers } from '../images/image-handlers.ts'
import { type RebuildContext, rebuildHandlers } from '../rebuild/rebuild-handlers.ts'
import { templateHandlers } from '../templates/template-handlers.ts'
import { clusterHandlers } from './cluster-handlers.ts'
import { drillHandlers } from './drill-handlers.ts'
import { firewallHandlers } from './firewall-handlers.ts'
import { type HostHandlersContext, hostHandlers } from './host-handlers.ts'
import { ledgerHandlers } from './ledger-handlers.ts'
import { maintenanceHandlers } from './maintenance-handlers.ts'
import { migrationHandlers } from './migration-handlers.ts'
import { namingHandlers } from './naming-handlers.ts'
import { networkHandlers } from './network-handlers.ts'
import { placementHandlers } from './placement-handlers.ts'
import { planHandlers } from './plan-handlers.ts'
import { recoveryHandlers } from './recovery-handlers.ts'
import { serviceHandlers } from './service-handlers.ts'
import { snapshotHandlers } from './snapshot-handlers.ts'
import { vmHandlers } from './vm-handlers.ts'
import { volumeHandlers } from './volume-handlers.ts'

export type AllContexts = HostHandlersContext & ImageContext & AccessContext & FigureContext & RebuildContext

export function apiHandlers(context: AllContexts): Handlers<typeof apiContract> {
  return {
    ...vmHandlers(context),
    ...hostHandlers(context),
    ...clusterHandlers(context),
    ...figureHandlers(context),
    ...firewallHandlers(context),
    ...cloneHandlers(context),
    ...cloneSetHandlers(context),
    ...drillHandlers(context),
    ...recoveryHandlers(context),
    ...snapshotHandlers(context),
    ...serviceHandlers(context),
    ...ledgerHandlers(context),
    ...migrationHandlers(context),
    ...volumeHandlers(context),
    ...placementHandlers(context),
    ...planHandlers(context),
    ...maintenanceHandlers(context),
    ...networkHandlers(context),
    ...namingHandlers(context),
    ...imageHandlers(context),
    ...templateHandlers(context),
    ...accessHandlers(context),
    ...rebuildHandlers(context),
  }
}
