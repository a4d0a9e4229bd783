import { Button, Group, Modal, Select, Stack, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconSend } from "@tabler/icons-react";
import { useState } from "react";
import { $api, api, type Schemas } from "../../api/client";
import { useCan } from "../../api/session";
import { TextLink } from "../../components/links";
import { failed } from "../../components/notify";

/** Sends the example of an event type, which its schema has. */
export function SendExample({ appId, endpoint }: { appId: string; endpoint: Schemas["EndpointOut"] }) {
  const [opened, { open, close }] = useDisclosure();
  const [type, setType] = useState<string | null>(null);
  const [sent, setSent] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const types = $api.useQuery("get", "/api/v1/event-type", { params: { query: { limit: 250, with_content: true } } }, { enabled: opened });
  if (!useCan("CreateAttempts")) return null;
  const names = types.data?.data.filter((each) => each.schemas).map((each) => each.name);
  const send = async () => {
    setBusy(true);
    try {
      const made = await api.POST("/api/v1/app/{app_id}/endpoint/{endpoint_id}/send-example", {
        params: { path: { app_id: appId, endpoint_id: endpoint.id } },
        body: { eventType: type! },
      });
      setSent(made.data!.id);
    } catch (error) {
      failed(error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <Button size="xs" leftSection={<IconSend size={15} />} onClick={open} disabled={endpoint.disabled}>Send test</Button>
      <Modal opened={opened} onClose={close} title="Send a test event" centered>
        <Stack>
          {names?.length === 0 ? (
            <Text size="sm">No event type has a schema with an example yet. Add one at <TextLink to="/event-type">event types</TextLink>.</Text>
          ) : (
            <Select label="Event type" description="Its example is sent to this endpoint, signed like every message." data={names ?? []} value={type} onChange={setType} searchable data-autofocus />
          )}
          {sent && (
            <Text size="sm" role="status">
              Sent: <TextLink to="/app/$appId/msg/$msgId" params={{ appId, msgId: sent }}>see what came of it</TextLink>.
            </Text>
          )}
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={close}>Close</Button>
            <Button onClick={() => void send()} disabled={!type} loading={busy}>Send</Button>
          </Group>
        </Stack>
      </Modal>
    </>
  );
}
