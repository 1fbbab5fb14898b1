/** Small drawings beside words. None says anything alone, so all are hidden from screen readers. */
const paths = {
  overview: 'M4 13h6V4H4zM14 20h6v-9h-6zM4 20h6v-4H4zM14 8h6V4h-6z',
  machines: 'M4 5h16v10H4zM9 19h6M12 15v4',
  create: 'M12 5v14M5 12h14',
  hosts: 'M4 4h16v6H4zM4 14h16v6H4zM8 7h.01M8 17h.01',
  topology: 'M12 4v5M5 20v-4h14v4M12 9v7M9 4h6v3H9z',
  recovery: 'M4 12a8 8 0 1 0 3-6.2M4 4v4h4',
  availability: 'M3 12h4l3-7 4 14 3-7h4',
  storage: 'M5 6c0-3 14-3 14 0v12c0 3-14 3-14 0zM5 6c0 3 14 3 14 0M5 12c0 3 14 3 14 0',
  networks: 'M12 4v4M6 20v-4h12v4M12 8v8M10 2h4v4h-4zM4 18h4v4H4zM16 18h4v4h-4z',
  templates: 'M8 4h12v12H8zM4 8v12h12',
  tasks: 'M4 7l2 2 3-4M4 17l2 2 3-4M13 7h7M13 17h7',
  events: 'M5 4h14v16H5zM8 8h8M8 12h8M8 16h5',
  doctor: 'M12 5v14M5 12h14M4 4h16v16H4z',
  settings: 'M4 7h9M17 7h3M4 17h3M11 17h9M15 4v6M9 14v6',
  search: 'M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM16 16l5 5',
} as const
export type IconName = keyof typeof paths

export function Icon({ name }: { readonly name: IconName }) {
  return (
    <svg className="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={paths[name]} />
    </svg>
  )
}
