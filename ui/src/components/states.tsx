/** What stands where there is nothing to show, or something went wrong. */
import { Button, Stack, Text, ThemeIcon, Title } from "@mantine/core";
import { IconAlertTriangle, IconInbox, IconPlugOff } from "@tabler/icons-react";
import type { ReactNode } from "react";
import { ApiError } from "../api/client";

interface EmptyProps {
  title: string;
  children?: ReactNode;
  icon?: ReactNode;
  action?: ReactNode;
}

export function EmptyState({ title, children, icon, action }: EmptyProps) {
  return (
    <Stack align="center" gap={6} py={44} px="md" ta="center">
      <ThemeIcon variant="light" color="gray" size={44} radius="xl" aria-hidden>{icon ?? <IconInbox size={22} />}</ThemeIcon>
      <Title order={3} mt={4}>{title}</Title>
      {children && <Text component="div" size="sm" c="dimmed" maw={460}>{children}</Text>}
      {action && <div style={{ marginTop: 10 }}>{action}</div>}
    </Stack>
  );
}

export function ErrorState({ error, retry }: { error: unknown; retry?: () => void }) {
  const status = error instanceof ApiError ? error.status : -1;
  if (status === 404) {
    return <EmptyState title="Not here" icon={<IconPlugOff size={22} />}>
      There is no such thing, or it is not available on this server.
    </EmptyState>;
  }
  if (status === 403) {
    return <EmptyState title="Not allowed" icon={<IconPlugOff size={22} />}>Your token does not open this.</EmptyState>;
  }
  return (
    <EmptyState
      title="This could not be loaded"
      icon={<IconAlertTriangle size={22} />}
      action={retry && <Button variant="default" size="xs" onClick={retry}>Try again</Button>}
    >
      <span role="alert">{error instanceof Error ? error.message : String(error)}</span>
    </EmptyState>
  );
}
