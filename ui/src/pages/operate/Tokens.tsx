import { Button, Code, Group, Modal, NativeSelect, Radio, Stack, Text, TextInput } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconKey, IconPlus } from "@tabler/icons-react";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { $api, api, pages, type Schemas } from "../../api/client";
import { Confirm } from "../../components/Confirm";
import { CopyButton } from "../../components/CopyButton";
import { PagedTable } from "../../components/DataTable";
import { TextLink } from "../../components/links";
import { failed } from "../../components/notify";
import { Section } from "../../components/Page";
import { SafeText } from "../../components/SafeText";
import { StatusBadge } from "../../components/StatusBadge";
import { EmptyState } from "../../components/states";
import { Time } from "../../components/Time";
import { submitted } from "../../components/submitted";

const PATH = "/api/v1/auth/token";

export function Tokens() {
  const queries = useQueryClient();
  const query = $api.useInfiniteQuery("get", PATH, { params: { query: { limit: 50 } } }, pages);
  const refresh = () => queries.invalidateQueries({ queryKey: ["get", PATH] });
  const revoke = async (id: string) => {
    await api.DELETE("/api/v1/auth/token/{token_id}", { params: { path: { token_id: id } } });
    await refresh();
  };
  return (
    <Section title="Tokens" description="Who may call the API, and when they last did." flush actions={<Create refresh={refresh} />}>
      <PagedTable
        label="Tokens"
        query={query}
        rowKey={(token) => token.id}
        columns={[
          { header: "Token", cell: (token) => <>{token.name ? <strong><SafeText>{token.name}</SafeText></strong> : "Unnamed"}<span className="hw-sub hw-mono">{token.id}</span></> },
          { header: "For", cell: (token) => token.appId ? <TextLink to="/app/$appId" params={{ appId: token.appId }}>One application</TextLink> : token.scope === "read" ? "Reading" : "Everything" },
          { header: "State", cell: (token) => <TokenState token={token} /> },
          { header: "Last used", cell: (token) => token.lastUsedAt ? <Time at={token.lastUsedAt} ago /> : "Never", wide: true },
          { header: "Ends", cell: (token) => <Time at={token.expiresAt} ago />, wide: true },
          {
            header: "Actions", align: "right",
            cell: (token) => token.revoked ? null : (
              <Confirm action="Revoke" title="Revoke this token?" danger run={() => revoke(token.id)} button={{ size: "compact-xs" }}>
                Whoever uses it is refused at once. This cannot be undone.
              </Confirm>
            ),
          },
        ]}
        empty={<EmptyState title="No tokens on record" icon={<IconKey size={22} />}>Tokens that the command <code>hookwright token</code> made are not listed.</EmptyState>}
      />
    </Section>
  );
}

function TokenState({ token }: { token: Schemas["TokenOut"] }) {
  if (token.revoked) return <StatusBadge tone="quiet">Revoked</StatusBadge>;
  return Date.parse(token.expiresAt) < Date.now() ? <StatusBadge tone="quiet">Ended</StatusBadge> : <StatusBadge tone="good">Good</StatusBadge>;
}

const DAY = 86_400;

function Create({ refresh }: { refresh: () => Promise<void> }) {
  const [opened, { open, close }] = useDisclosure();
  const [token, setToken] = useState<string | null>(null);
  const create = async (form: FormData) => {
    try {
      const scope = form.get("scope") as Schemas["TokenScope"];
      const { data } = await api.POST(PATH, { body: { name: String(form.get("name")), scope, expirySecs: Number(form.get("days")) * DAY } });
      setToken(data!.token);
      await refresh();
    } catch (error) {
      failed(error);
    }
  };
  const start = () => {
    setToken(null);
    open();
  };
  return (
    <>
      <Button size="xs" leftSection={<IconPlus size={15} />} onClick={start}>Create token</Button>
      <Modal opened={opened} onClose={close} title="Create token" centered>
        {token ? (
          <Stack>
            <div className="hw-note">Copy it now: it is not shown again.</div>
            <Code block style={{ overflowWrap: "anywhere", whiteSpace: "pre-wrap" }}>{token}</Code>
            <Group justify="flex-end" gap="xs"><CopyButton value={token} label="Copy token" text="Copy" /><Button onClick={close}>Close</Button></Group>
          </Stack>
        ) : (
          <form onSubmit={submitted(create)}>
            <Stack>
              <TextInput name="name" label="Name" description="What it is for." placeholder="billing service" required data-autofocus />
              <Radio.Group name="scope" label="It may" defaultValue="full">
                <Stack gap="xs" mt={6}>
                  <Radio value="full" label="Do everything" />
                  <Radio value="read" label="Only read" />
                </Stack>
              </Radio.Group>
              <NativeSelect name="days" label="It ends after" defaultValue="365" data={[{ value: "30", label: "30 days" }, { value: "90", label: "90 days" }, { value: "365", label: "One year" }, { value: "3650", label: "Ten years" }]} />
              <Text size="sm" c="dimmed">Tokens of applications are made by your backend, as it opens the portal for a customer.</Text>
              <Group justify="flex-end" gap="xs"><Button variant="default" onClick={close}>Cancel</Button><Button type="submit">Create</Button></Group>
            </Stack>
          </form>
        )}
      </Modal>
    </>
  );
}
