import { Button, Group, Modal, NumberInput, Stack, TextInput } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconApps, IconPlus } from "@tabler/icons-react";
import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { $api, ApiError, api, pages, type Schemas } from "../api/client";
import { PagedTable, type Column } from "../components/DataTable";
import { Id } from "../components/Id";
import { TextLink } from "../components/links";
import { failed } from "../components/notify";
import { Page } from "../components/Page";
import { SafeText } from "../components/SafeText";
import { EmptyState } from "../components/states";
import { Time } from "../components/Time";
import { submitted } from "../components/submitted";

type Application = Schemas["ApplicationOut"];

const COLUMNS: Column<Application>[] = [
  {
    header: "Name",
    cell: (app) => (
      <>
        <TextLink className="hw-name" to="/app/$appId" params={{ appId: app.id }}><SafeText>{app.name}</SafeText></TextLink>
        {app.uid && <span className="hw-sub hw-mono"><SafeText>{app.uid}</SafeText></span>}
      </>
    ),
  },
  { header: "Id", cell: (app) => <Id id={app.id} />, wide: true },
  { header: "Rate limit", cell: (app) => (app.throttleRate ? `${app.throttleRate}/s` : "None"), wide: true },
  { header: "Created", cell: (app) => <Time at={app.createdAt} ago />, align: "right" },
];

export function Applications() {
  const query = $api.useInfiniteQuery("get", "/api/v1/app", { params: { query: { limit: 50, order: "descending" } } }, pages);
  return (
    <Page
      title="Applications"
      description="Each of your customers is an application: it has its own endpoints, and gets its own messages."
      actions={<Create />}
    >
      <div className="hw-card">
        <PagedTable
          label="Applications"
          query={query}
          columns={COLUMNS}
          rowKey={(app) => app.id}
          empty={
            <EmptyState title="No applications yet" icon={<IconApps size={22} />} action={<Create />}>
              Create one here, or let your backend create it with the first message it sends.
            </EmptyState>
          }
        />
      </div>
    </Page>
  );
}

function Create() {
  const [opened, { open, close }] = useDisclosure();
  const [fields, setFields] = useState<Record<string, string>>({});
  const queries = useQueryClient();
  const navigate = useNavigate();
  const create = async (form: FormData) => {
    const rate = Number(form.get("throttleRate"));
    try {
      const { data } = await api.POST("/api/v1/app", {
        body: {
          name: String(form.get("name")),
          uid: String(form.get("uid")) || null,
          throttleRate: rate > 0 ? rate : null,
        },
      });
      await queries.invalidateQueries({ queryKey: ["get", "/api/v1/app"] });
      await navigate({ to: "/app/$appId", params: { appId: data!.id } });
    } catch (error) {
      if (error instanceof ApiError && Object.keys(error.fields).length) setFields(error.fields);
      else failed(error);
    }
  };
  return (
    <>
      <Button leftSection={<IconPlus size={16} />} onClick={open}>Create application</Button>
      <Modal opened={opened} onClose={close} title="Create application" centered>
        <form onSubmit={submitted(create)}>
          <Stack>
            <TextInput name="name" label="Name" placeholder="Acme Inc." required data-autofocus error={fields.name} />
            <TextInput name="uid" label="Uid" description="Your own id for this customer, to use in place of ours." placeholder="customer-42" error={fields.uid} />
            <NumberInput name="throttleRate" label="Rate limit" description="Most messages per second to this application." min={1} placeholder="None" error={fields.throttleRate} />
            <Group justify="flex-end" gap="xs">
              <Button variant="default" onClick={close}>Cancel</Button>
              <Button type="submit">Create</Button>
            </Group>
          </Stack>
        </form>
      </Modal>
    </>
  );
}
