/** The frame around all pages: where one can go, and who is signed in. */
import { ActionIcon, AppShell, Burger, Group, NavLink, Tooltip, useComputedColorScheme, useMantineColorScheme } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconLogout, IconMoon, IconSun } from "@tabler/icons-react";
import { Outlet, useRouterState } from "@tanstack/react-router";
import { useEffect } from "react";
import { isPortal, signOut, useSession } from "../api/session";
import { PlainLink } from "../components/links";
import { portalLook } from "../portal";
import { AlertCount } from "./AlertCount";
import { GoTo } from "./GoTo";
import { Logo } from "./Logo";
import { places, type Place } from "./places";
import { useFrameHeight } from "./frame";

export function Shell() {
  const [opened, { toggle, close }] = useDisclosure();
  const session = useSession()!;
  const path = useRouterState({ select: (state) => state.location.pathname });
  useEffect(close, [path, close]);
  useExpiry(session.expiresAt);
  useFrameHeight();
  const look = portalLook();
  return (
    <AppShell
      layout="alt"
      header={{ height: 56 }}
      navbar={{ width: 224, breakpoint: "sm", collapsed: { mobile: !opened } }}
      padding={0}
      withBorder={false}
    >
      <a className="hw-skip" href="#main" onClick={skip}>Skip to content</a>
      <AppShell.Navbar p="sm" className="hw-navbar">
        <Group h={40} px={6} mb="sm" justify="space-between">
          {look ? look.icon ? <img src={look.icon} alt="" className="hw-brand" /> : <span className="hw-brand-name">Webhooks</span> : <Logo />}
          <Burger opened={opened} onClick={toggle} hiddenFrom="sm" size="sm" aria-label="Close navigation" />
        </Group>
        <nav aria-label="Main">
          {places(session.appId).map((place) => <Go key={place.label} place={place} path={path} />)}
        </nav>
      </AppShell.Navbar>
      <AppShell.Header className="hw-header">
        <Group h="100%" px="md" gap="sm" wrap="nowrap">
          <Burger opened={opened} onClick={toggle} hiddenFrom="sm" size="sm" aria-label="Open navigation" />
          <GoTo />
          <Group gap={4} ml="auto" wrap="nowrap">
            {!look?.scheme && <ColorScheme />}
            {!isPortal && (
              <Tooltip label="Sign out">
                <ActionIcon variant="subtle" color="gray" size="lg" aria-label="Sign out" onClick={() => signOut()}>
                  <IconLogout size={18} />
                </ActionIcon>
              </Tooltip>
            )}
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Main id="main" tabIndex={-1} className="hw-main">
        <Outlet />
      </AppShell.Main>
    </AppShell>
  );
}

function Go({ place, path }: { place: Place; path: string }) {
  const active = place.to === "/" ? path === "/" : path === place.to || (path.startsWith(`${place.to}/`) && !place.exact);
  return (
    <NavLink
      renderRoot={(props) => <PlainLink {...props} to={place.to} {...(active && { "aria-current": "page" as const })} />}
      active={active}
      label={place.label}
      leftSection={<place.icon size={18} stroke={1.7} />}
      {...(place.alerts && { rightSection: <AlertCount /> })}
      className="hw-nav"
    />
  );
}

function ColorScheme() {
  const { setColorScheme } = useMantineColorScheme();
  const dark = useComputedColorScheme("light") === "dark";
  const label = dark ? "Light mode" : "Dark mode";
  return (
    <Tooltip label={label}>
      <ActionIcon variant="subtle" color="gray" size="lg" aria-label={label} onClick={() => setColorScheme(dark ? "light" : "dark")}>
        {dark ? <IconSun size={18} /> : <IconMoon size={18} />}
      </ActionIcon>
    </Tooltip>
  );
}

/** Says that the token ended when it does, not at the next click. */
function useExpiry(at: number) {
  useEffect(() => {
    const left = at - Date.now();
    // Longer than a timer can wait is longer than a tab lives.
    if (left > 2 ** 31 - 1) return;
    const timer = setTimeout(() => signOut("Your token has expired."), Math.max(0, left));
    return () => clearTimeout(timer);
  }, [at]);
}

/** The fragment is not a place of the router's. */
function skip(event: React.MouseEvent) {
  event.preventDefault();
  document.getElementById("main")?.focus();
}
