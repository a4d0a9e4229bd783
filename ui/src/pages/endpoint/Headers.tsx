import { ActionIcon, Button, Group, Stack, Text, TextInput } from "@mantine/core";
import { IconTrash } from "@tabler/icons-react";
import { useQueryClient } from "@tanstack/react-query";
import { useRef } from "react";
import { $api, api } from "../../api/client";
import { useCan } from "../../api/session";
import { failed } from "../../components/notify";
import { Section } from "../../components/Page";
import { SafeText } from "../../components/SafeText";
import { submitted } from "../../components/submitted";

const PATH = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/headers";

/** Headers that every request to the endpoint has. */
export function Headers({ appId, endpointId }: { appId: string; endpointId: string }) {
  const params = { path: { app_id: appId, endpoint_id: endpointId } };
  const queries = useQueryClient();
  const manage = useCan("ManageEndpoint");
  const form = useRef<HTMLFormElement>(null);
  const { data } = $api.useQuery("get", PATH, { params });
  const patch = async (headers: Record<string, string>, deleteHeaders: string[] = []) => {
    try {
      await api.PATCH(PATH, { params, body: { headers, deleteHeaders } });
      await queries.invalidateQueries({ queryKey: ["get", PATH] });
      return true;
    } catch (error) {
      failed(error);
      return false;
    }
  };
  const add = async (fields: FormData) => {
    if (await patch({ [String(fields.get("name"))]: String(fields.get("value")) })) form.current?.reset();
  };
  if (!data) return null;
  const names = [...Object.keys(data.headers), ...data.sensitive].sort();
  return (
    <Section title="Headers" description="Added to every request.">
      <Stack gap="xs">
        {names.length === 0 && !manage && <Text size="sm" c="dimmed">None</Text>}
        {names.map((name) => (
          <Group key={name} justify="space-between" wrap="nowrap" gap="xs">
            <div style={{ minWidth: 0, overflowWrap: "anywhere" }} className="hw-mono">
              {name}: <SafeText>{String((data.headers as Record<string, unknown>)[name] ?? "••••••")}</SafeText>
            </div>
            {manage && (
              <ActionIcon variant="subtle" color="gray" size="sm" aria-label={`Remove ${name}`} onClick={() => void patch({}, [name])}>
                <IconTrash size={15} />
              </ActionIcon>
            )}
          </Group>
        ))}
        {manage && (
          <form onSubmit={submitted(add)} ref={form}>
            <Group gap={6} wrap="nowrap" align="flex-end">
              <TextInput name="name" size="xs" aria-label="Name of a new header" placeholder="x-name" required style={{ flex: 1 }} />
              <TextInput name="value" size="xs" aria-label="Value of the new header" placeholder="value" required style={{ flex: 1 }} />
              <Button type="submit" size="xs" variant="default">Add</Button>
            </Group>
          </form>
        )}
      </Stack>
    </Section>
  );
}
