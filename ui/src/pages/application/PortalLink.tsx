import { Button, Checkbox, Group, Modal, Stack, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconExternalLink } from "@tabler/icons-react";
import { useState } from "react";
import { api } from "../../api/client";
import { CopyButton } from "../../components/CopyButton";
import { Outside } from "../../components/Page";
import { failed } from "../../components/notify";

/** Makes a link that opens the portal as this customer sees it. */
export function PortalLink({ appId }: { appId: string }) {
  const [opened, { open, close }] = useDisclosure();
  const [readOnly, setReadOnly] = useState(true);
  const [url, setUrl] = useState<string | null>(null);
  const make = async () => {
    try {
      const made = await api.POST("/api/v1/auth/app-portal-access/{app_id}", {
        params: { path: { app_id: appId } },
        body: { expiry: 3_600, ...(readOnly && { capabilities: ["ViewBase"] }) },
      });
      setUrl(made.data!.url);
    } catch (error) {
      failed(error);
    }
  };
  const start = () => {
    setUrl(null);
    open();
  };
  return (
    <>
      <Button variant="default" size="xs" leftSection={<IconExternalLink size={15} />} onClick={start}>Portal</Button>
      <Modal opened={opened} onClose={close} title="Open this customer's portal" centered>
        <Stack>
          <Text size="sm">
            The portal is the page that this customer sees: endpoints, messages, charts. The link is good for one
            hour, for whoever has it.
          </Text>
          <Checkbox label="It may only look" checked={readOnly} onChange={(event) => { setReadOnly(event.currentTarget.checked); setUrl(null); }} />
          <Group justify="flex-end" gap="xs">
            {url ? (
              <>
                <Text size="sm"><Outside href={url}>Open portal</Outside></Text>
                <CopyButton value={url} label="Copy link" text="Copy link" />
              </>
            ) : <Button onClick={() => void make()}>Make link</Button>}
          </Group>
        </Stack>
      </Modal>
    </>
  );
}
