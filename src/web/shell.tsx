/** What is around every page: where one is, whether the cloud is live, the tasks, the palette. */
import {
  ActionIcon,
  AppShell,
  Burger,
  Button,
  Group,
  Kbd,
  Menu,
  NavLink,
  ScrollArea,
  Text,
  useMantineColorScheme,
} from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { Link, Outlet, useLocation } from '@tanstack/react-router'
import { useEffect } from 'react'
import { formatAge } from '../model/age.ts'
import { useCloudView, useConsole } from './cloud/console-context.ts'
import { useNow } from './cloud/use-now.ts'
import { Icon } from './components/icons.tsx'
import { Palette } from './components/palette.tsx'
import { TaskTray } from './components/task-tray.tsx'
import { createPage, pages } from './logic/pages.ts'
import { texts } from './texts.ts'

export function Shell() {
  const [isMenuOpen, menu] = useDisclosure(false)
  const { pathname } = useLocation()
  const { state } = useCloudView()
  const { close } = menu
  useEffect(() => close(), [pathname, close])
  useEffect(() => {
    const page = pages.find(({ path }) => path !== '/' && pathname.startsWith(path))
    document.title = `${page?.title ?? texts.pages.overview} · ${texts.product}`
  }, [pathname])
  return (
    <AppShell
      header={{ height: 56 }}
      navbar={{ width: 208, breakpoint: 'sm', collapsed: { mobile: !isMenuOpen } }}
      padding="md"
    >
      <a className="skip" href="#content">
        {texts.skipToContent}
      </a>
      <AppShell.Header className="header">
        <Head isMenuOpen={isMenuOpen} onMenu={menu.toggle} />
      </AppShell.Header>
      <AppShell.Navbar p="xs" aria-label={texts.navigation}>
        <ScrollArea>
          {pages.map(({ path, title, icon }) => (
            <NavLink
              key={path}
              component={Link}
              to={path}
              label={title}
              leftSection={<Icon name={icon} />}
              active={path === '/' ? pathname === '/' : pathname.startsWith(path)}
              aria-current={pathname === path ? 'page' : undefined}
              className="nav-link"
            />
          ))}
        </ScrollArea>
      </AppShell.Navbar>
      <AppShell.Main id="content" className="content">
        <LostConnection />
        {state === null ? <Text>{texts.connection.loading}</Text> : <Outlet />}
      </AppShell.Main>
      {state === null ? null : <TaskTray />}
    </AppShell>
  )
}

function Head({ isMenuOpen, onMenu }: { readonly isMenuOpen: boolean; readonly onMenu: () => void }) {
  const { signedIn } = useConsole()
  const { connection, state } = useCloudView()
  const [isPaletteOpen, palette] = useDisclosure(false)
  const { open } = palette
  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() !== 'k' || !(event.ctrlKey || event.metaKey)) return
      event.preventDefault()
      open()
    }
    window.addEventListener('keydown', listen)
    return () => window.removeEventListener('keydown', listen)
  }, [open])
  return (
    <Group h="100%" px="md" gap="sm" wrap="nowrap">
      <Burger opened={isMenuOpen} onClick={onMenu} hiddenFrom="sm" size="sm" aria-label={texts.navigation} />
      <Link to="/" className="brand">
        {texts.product}
        <span className="cluster-name">{signedIn.clusterName}</span>
      </Link>
      <span className="spacer" />
      <Button
        variant="default"
        size="xs"
        className="find"
        onClick={palette.open}
        leftSection={<Icon name="search" />}
        rightSection={<Kbd size="xs">Ctrl K</Kbd>}
      >
        {texts.palette.open}
      </Button>
      <ActionIcon
        variant="default"
        size="lg"
        className="find-small"
        onClick={palette.open}
        aria-label={texts.palette.open}
      >
        <Icon name="search" />
      </ActionIcon>
      <Button
        component={Link}
        to={createPage.path}
        size="xs"
        leftSection={<Icon name="create" />}
        className="new-machine"
      >
        {createPage.title}
      </Button>
      <span className={`live live-${connection.kind}`} role="status">
        <span aria-hidden="true">{connection.kind === 'live' ? '●' : '○'}</span>
        <span className="live-word">{connection.kind === 'live' ? texts.connection.live : texts.connection.lost}</span>
      </span>
      <UserMenu />
      {state === null ? null : <Palette isOpen={isPaletteOpen} onClose={palette.close} />}
    </Group>
  )
}

function UserMenu() {
  const { signedIn, signOut } = useConsole()
  const { colorScheme, setColorScheme } = useMantineColorScheme()
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <Button variant="default" size="xs" className="user">
          {signedIn.userName}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label className="menu-label">{texts.roles[signedIn.role]}</Menu.Label>
        {(['light', 'dark', 'auto'] as const).map((scheme) => (
          <Menu.Item key={scheme} onClick={() => setColorScheme(scheme)}>
            {colorScheme === scheme ? '✓ ' : ''}
            {texts.theme[scheme]}
          </Menu.Item>
        ))}
        <Menu.Divider />
        <Menu.Item onClick={signOut}>{texts.signOut}</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  )
}

function LostConnection() {
  const { connection } = useCloudView()
  const nowMs = useNow()
  if (connection.kind !== 'lost') return null
  return (
    <div role="alert" className="lost">
      {texts.connection.lostLong(formatAge(new Date(connection.sinceMs).toISOString(), nowMs))}
    </div>
  )
}
