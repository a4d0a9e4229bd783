import { Button, Group, Modal, Stack, Switch, TextInput } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconPlus, IconTags } from "@tabler/icons-react";
import { useQueryClient } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useState } from "react";
import { $api, ApiError, api, pages, type Schemas } from "../api/client";
import { useOperator } from "../api/session";
import { PagedTable, type Column } from "../components/DataTable";
import { TextLink } from "../components/links";
import { failed } from "../components/notify";
import { Page } from "../components/Page";
import { SafeText } from "../components/SafeText";
import { StatusBadge } from "../components/StatusBadge";
import { EmptyState } from "../components/states";
import { Time } from "../components/Time";
import { submitted } from "../components/submitted";

const route = getRouteApi("/event-type");

const COLUMNS: Column<Schemas["EventTypeOut"]>[] = [
  {
    header: "Event type",
    cell: (type) => (
      <>
        <TextLink className="hw-name hw-mono" to="/event-type/$name" params={{ name: type.name }}><SafeText>{type.name}</SafeText></TextLink>
        {type.description && <span className="hw-sub"><SafeText>{type.description}</SafeText></span>}
      </>
    ),
  },
  { header: "Group", cell: (type) => type.groupName ? <SafeText>{type.groupName}</SafeText> : "–", wide: true },
  { header: "Schema", cell: (type) => type.schemas ? "Yes" : "–", wide: true },
  { header: "State", cell: (type) => <TypeStatus type={type} /> },
  { header: "Changed", cell: (type) => <Time at={type.updatedAt} ago />, align: "right", wide: true },
];

export function TypeStatus({ type }: { type: Schemas["EventTypeOut"] }) {
  if (type.archived) return <StatusBadge tone="quiet">Archived</StatusBadge>;
  return type.deprecated ? <StatusBadge tone="warn">Deprecated</StatusBadge> : <StatusBadge tone="good">In use</StatusBadge>;
}

export function EventTypes() {
  const { archived } = route.useSearch();
  const navigate = route.useNavigate();
  const operator = useOperator();
  const query = $api.useInfiniteQuery(
    "get",
    "/api/v1/event-type",
    { params: { query: { limit: 100, with_content: true, include_archived: archived === "true" } } },
    pages,
  );
  return (
    <Page
      title="Event types"
      description={operator ? "What your product can tell its customers. They see this catalogue in their portal, and choose from it." : "What can be sent to your endpoints."}
      actions={
        <>
          <Switch size="sm" label="Archived too" checked={archived === "true"} onChange={(event) => void navigate({ search: event.currentTarget.checked ? { archived: "true" } : {}, replace: true })} />
          {operator && <Create />}
        </>
      }
    >
      <div className="hw-card">
        <PagedTable
          label="Event types"
          query={query}
          columns={COLUMNS}
          rowKey={(type) => type.name}
          empty={
            <EmptyState title="No event types yet" icon={<IconTags size={22} />}>
              {operator ? "Create the first one: a name like invoice.paid, and what it means." : "There is nothing to choose from yet."}
            </EmptyState>
          }
        />
      </div>
    </Page>
  );
}

function Create() {
  const [opened, { open, close }] = useDisclosure();
  const [errors, setErrors] = useState<Record<string, string>>({});
  const queries = useQueryClient();
  const navigate = route.useNavigate();
  const create = async (form: FormData) => {
    const text = (name: string) => String(form.get(name) ?? "").trim();
    try {
      await api.POST("/api/v1/event-type", {
        body: { name: text("name"), description: text("description"), groupName: text("groupName") || null },
      });
      await queries.invalidateQueries({ queryKey: ["get", "/api/v1/event-type"] });
      await navigate({ to: "/event-type/$name", params: { name: text("name") } });
    } catch (error) {
      if (error instanceof ApiError && Object.keys(error.fields).length) setErrors(error.fields);
      else failed(error);
    }
  };
  return (
    <>
      <Button leftSection={<IconPlus size={16} />} onClick={open}>Create event type</Button>
      <Modal opened={opened} onClose={close} title="Create event type" centered>
        <form onSubmit={submitted(create)}>
          <Stack>
            <TextInput name="name" label="Name" description="Letters, digits, dots, dashes and underscores." placeholder="invoice.paid" required data-autofocus error={errors.name} />
            <TextInput name="description" label="Description" placeholder="An invoice was paid" required error={errors.description} />
            <TextInput name="groupName" label="Group" placeholder="invoice" error={errors.groupName} />
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
