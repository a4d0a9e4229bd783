import { Button, Group, Modal, Stack, TextInput } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconPlus, IconRoute } from "@tabler/icons-react";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { $api, ApiError, api, pages, type Schemas } from "../../api/client";
import { PagedTable } from "../../components/DataTable";
import { TextLink } from "../../components/links";
import { failed } from "../../components/notify";
import { Section } from "../../components/Page";
import { SafeText } from "../../components/SafeText";
import { StatusBadge } from "../../components/StatusBadge";
import { EmptyState } from "../../components/states";
import { submitted } from "../../components/submitted";

const PATH = "/ingest/api/v1/source/{source_id}/endpoint";

/** Where what a source takes is passed on to. */
export function Endpoints({ source }: { source: Schemas["IngestSourceOut"] }) {
  const params = { path: { source_id: source.id } };
  const query = $api.useInfiniteQuery("get", PATH, { params: { ...params, query: { limit: 50 } } }, pages);
  return (
    <Section title="Endpoints" description="What is genuine goes on to these." flush actions={<Add sourceId={source.id} />}>
      <PagedTable
        label="Endpoints"
        query={query}
        rowKey={(endpoint) => endpoint.id}
        columns={[
          {
            header: "Endpoint",
            cell: (endpoint) => (
              <TextLink className="hw-name" to="/app/$appId/endpoint/$endpointId" params={{ appId: source.appId, endpointId: endpoint.id }}>
                <SafeText>{endpoint.url}</SafeText>
              </TextLink>
            ),
          },
          { header: "State", cell: (endpoint) => <StatusBadge tone={endpoint.disabled ? "quiet" : "good"}>{endpoint.disabled ? "Disabled" : "Enabled"}</StatusBadge>, align: "right" },
        ]}
        empty={<EmptyState title="No endpoints yet" icon={<IconRoute size={22} />}>Events are stored, and go nowhere until there is an endpoint.</EmptyState>}
      />
    </Section>
  );
}

function Add({ sourceId }: { sourceId: string }) {
  const [opened, { open, close }] = useDisclosure();
  const [errors, setErrors] = useState<Record<string, string>>({});
  const queries = useQueryClient();
  const add = async (form: FormData) => {
    try {
      await api.POST(PATH, {
        params: { path: { source_id: sourceId } },
        body: { url: String(form.get("url")), description: String(form.get("description")) },
      });
      await queries.invalidateQueries({ queryKey: ["get", PATH] });
      close();
    } catch (error) {
      if (error instanceof ApiError && Object.keys(error.fields).length) setErrors(error.fields);
      else failed(error);
    }
  };
  return (
    <>
      <Button size="xs" leftSection={<IconPlus size={15} />} onClick={open}>Add endpoint</Button>
      <Modal opened={opened} onClose={close} title="Add endpoint" centered>
        <form onSubmit={submitted(add)}>
          <Stack>
            <TextInput name="url" type="url" label="URL" placeholder="https://example.com/webhooks" required data-autofocus error={errors.url} />
            <TextInput name="description" label="Description" error={errors.description} />
            <Group justify="flex-end" gap="xs">
              <Button variant="default" onClick={close}>Cancel</Button>
              <Button type="submit">Add endpoint</Button>
            </Group>
          </Stack>
        </form>
      </Modal>
    </>
  );
}
