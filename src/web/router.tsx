/** Addresses of pages. Each page is loaded when it is opened, the overview with the console. */
import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from '@tanstack/react-router'
import { z } from 'zod'
import { machineSearchSchema } from './logic/machine-list.ts'
import { OverviewPage } from './pages/overview.tsx'
import { Shell } from './shell.tsx'

const root = createRootRoute({ component: Shell })
const under = { getParentRoute: () => root } as const

const hostSearchSchema = z.object({ host: z.string().optional().catch(undefined) })
const eventSearchSchema = z.object({ q: z.string().optional().catch(undefined) })
const drillSearchSchema = z.object({ vm: z.string().optional().catch(undefined) })

const routes = [
  createRoute({ ...under, path: '/', component: OverviewPage }),
  createRoute({
    ...under,
    path: '/machines',
    validateSearch: (search) => machineSearchSchema.parse(search),
    component: lazyRouteComponent(() => import('./pages/machines.tsx'), 'MachinesPage'),
  }),
  createRoute({
    ...under,
    path: '/machines/$name',
    component: lazyRouteComponent(() => import('./pages/machine.tsx'), 'MachinePage'),
  }),
  createRoute({
    ...under,
    path: '/create',
    component: lazyRouteComponent(() => import('./pages/create.tsx'), 'CreatePage'),
  }),
  createRoute({
    ...under,
    path: '/hosts',
    validateSearch: (search) => hostSearchSchema.parse(search),
    component: lazyRouteComponent(() => import('./pages/hosts.tsx'), 'HostsPage'),
  }),
  createRoute({
    ...under,
    path: '/topology',
    component: lazyRouteComponent(() => import('./pages/topology.tsx'), 'TopologyPage'),
  }),
  createRoute({
    ...under,
    path: '/recovery',
    validateSearch: (search) => drillSearchSchema.parse(search),
    component: lazyRouteComponent(() => import('./pages/recovery.tsx'), 'RecoveryPage'),
  }),
  createRoute({
    ...under,
    path: '/availability',
    component: lazyRouteComponent(() => import('./pages/availability.tsx'), 'AvailabilityPage'),
  }),
  createRoute({
    ...under,
    path: '/storage',
    component: lazyRouteComponent(() => import('./pages/storage.tsx'), 'StoragePage'),
  }),
  createRoute({
    ...under,
    path: '/networks',
    component: lazyRouteComponent(() => import('./pages/networks.tsx'), 'NetworksPage'),
  }),
  createRoute({
    ...under,
    path: '/templates',
    component: lazyRouteComponent(() => import('./pages/templates.tsx'), 'TemplatesPage'),
  }),
  createRoute({
    ...under,
    path: '/tasks',
    component: lazyRouteComponent(() => import('./pages/tasks.tsx'), 'TasksPage'),
  }),
  createRoute({
    ...under,
    path: '/events',
    validateSearch: (search) => eventSearchSchema.parse(search),
    component: lazyRouteComponent(() => import('./pages/events.tsx'), 'EventsPage'),
  }),
  createRoute({
    ...under,
    path: '/doctor',
    component: lazyRouteComponent(() => import('./pages/doctor.tsx'), 'DoctorPage'),
  }),
  createRoute({
    ...under,
    path: '/settings',
    component: lazyRouteComponent(() => import('./pages/settings.tsx'), 'SettingsPage'),
  }),
]

export const router = createRouter({
  routeTree: root.addChildren(routes),
  defaultPreload: 'intent',
  notFoundMode: 'root',
})

declare module '@tanstack/react-router' {
  // oxlint-disable-next-line typescript/consistent-type-definitions -- only an interface adds to another's.
  interface Register {
    router: typeof router
  }
}
