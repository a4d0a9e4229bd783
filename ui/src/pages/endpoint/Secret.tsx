import { Button, Group, Stack } from "@mantine/core";
import { IconEye, IconEyeOff, IconRefresh } from "@tabler/icons-react";
import { useState } from "react";
import { api } from "../../api/client";
import { useCan } from "../../api/session";
import { Confirm } from "../../components/Confirm";
import { CopyButton } from "../../components/CopyButton";
import { done, failed } from "../../components/notify";
import { Section } from "../../components/Page";

const DAY = 24 * 3_600;

/** The key that requests are signed with: shown on demand, rotated with an overlap. */
export function Secret({ appId, endpointId }: { appId: string; endpointId: string }) {
  const [key, setKey] = useState<string | null>(null);
  const see = useCan("ViewEndpointSecret");
  const manage = useCan("ManageEndpointSecret");
  const params = { path: { app_id: appId, endpoint_id: endpointId } };
  if (!see) return null;
  const reveal = async () => {
    if (key) return setKey(null);
    try {
      const { data } = await api.GET("/api/v1/app/{app_id}/endpoint/{endpoint_id}/secret", { params });
      setKey(data!.key);
    } catch (error) {
      failed(error);
    }
  };
  const rotate = async () => {
    await api.POST("/api/v1/app/{app_id}/endpoint/{endpoint_id}/secret/rotate", { params, body: { gracePeriodSeconds: DAY } });
    setKey(null);
    done("The secret was rotated");
  };
  return (
    <Section title="Signing secret">
      <Stack gap="sm">
        <Group gap={4} wrap="nowrap" justify="space-between">
          <code className="hw-mono" style={{ overflowWrap: "anywhere" }}>{key ?? "••••••••••••••••••••••••"}</code>
          {key && <CopyButton value={key} label="Copy secret" />}
        </Group>
        <Group gap="xs">
          <Button variant="default" size="xs" leftSection={key ? <IconEyeOff size={15} /> : <IconEye size={15} />} onClick={() => void reveal()}>
            {key ? "Hide" : "Show"}
          </Button>
          {manage && (
            <Confirm action="Rotate" title="Rotate the secret?" run={rotate} icon={<IconRefresh size={15} />}>
              Requests are signed with the old and the new secret for 24 hours. Change it at the receiver within that time.
            </Confirm>
          )}
        </Group>
      </Stack>
    </Section>
  );
}
