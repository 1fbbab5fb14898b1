/** The pages, in the order in which they stand at the side. */
import { texts } from '../texts.ts'

export const pages = [
  { path: '/', title: texts.pages.overview, icon: 'overview' },
  { path: '/machines', title: texts.pages.machines, icon: 'machines' },
  { path: '/hosts', title: texts.pages.hosts, icon: 'hosts' },
  { path: '/topology', title: texts.pages.topology, icon: 'topology' },
  { path: '/recovery', title: texts.pages.recovery, icon: 'recovery' },
  { path: '/availability', title: texts.pages.availability, icon: 'availability' },
  { path: '/storage', title: texts.pages.storage, icon: 'storage' },
  { path: '/networks', title: texts.pages.networks, icon: 'networks' },
  { path: '/templates', title: texts.pages.templates, icon: 'templates' },
  { path: '/tasks', title: texts.pages.tasks, icon: 'tasks' },
  { path: '/events', title: texts.pages.events, icon: 'events' },
  { path: '/doctor', title: texts.pages.doctor, icon: 'doctor' },
  { path: '/settings', title: texts.pages.settings, icon: 'settings' },
] as const

/** Reached by a button, not from the side. */
export const createPage = { path: '/create', title: texts.pages.create } as const
