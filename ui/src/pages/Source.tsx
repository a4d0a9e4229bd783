import { Group, Stack, Text } from "@mantine/core";
import { IconListDetails, IconRefresh, IconTrash } from "@tabler/icons-react";
import { useQueryClient } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { $api, api, type Schemas } from "../api/client";
import { Confirm } from "../components/Confirm";
import { CopyButton } from "../components/CopyButton";
import { Id } from "../components/Id";
import { ButtonLink, TextLink } from "../components/links";
import { done } from "../components/notify";
import { Fact, Facts, Page, Section } from "../components/Page";
import { SafeText, visible } from "../components/SafeText";
import { StatusBadge } from "../components/StatusBadge";
import { ErrorState } from "../components/states";
import { Time } from "../components/Time";
import { Setup } from "./source/Create";
import { Endpoints } from "./source/Endpoints";
import { Rejected } from "./source/Rejected";

const route = getRouteApi("/source/$sourceId");
const PATH = "/ingest/api/v1/source/{source_id}";

export function Source() {
  const { sourceId } = route.useParams();
  const navigate = route.useNavigate();
  const queries = useQueryClient();
  const params = { path: { source_id: sourceId } };
  const { data: source, error, refetch } = $api.useQuery("get", PATH, { params });
  const provider = $api.useQuery("get", "/api/v1/provider/{provider_id}", { params: { path: { provider_id: source?.type ?? "" } } }, { enabled: source !== undefined, retry: false });
  const trail = [<TextLink key="sources" to="/source">Sources</TextLink>];
  if (error) return <Page title="Source" trail={trail}><ErrorState error={error} retry={() => void refetch()} /></Page>;
  const rotate = async () => {
    await api.POST("/ingest/api/v1/source/{source_id}/token/rotate", { params });
    await queries.invalidateQueries({ queryKey: ["get", PATH] });
    done("It has a new URL");
  };
  const remove = async () => {
    await api.DELETE(PATH, { params });
    await queries.invalidateQueries({ queryKey: ["get", "/ingest/api/v1/source"] });
    await navigate({ to: "/source" });
  };
  return (
    <Page
      title={visible(source?.name ?? "…")}
      badge={source && <StatusBadge tone={source.settings.disabled ? "quiet" : "good"}>{source.settings.disabled ? "Disabled" : "Enabled"}</StatusBadge>}
      trail={trail}
      description={provider.data?.name ?? source?.type}
      actions={source && (
        <>
          <ButtonLink to="/app/$appId/msg" params={{ appId: source.appId }} variant="default" size="xs" leftSection={<IconListDetails size={15} />}>Received events</ButtonLink>
          <Confirm action="Delete" title="Delete this source?" danger run={remove} icon={<IconTrash size={15} />}>
            Its URL answers 404 from then on, and its endpoints go with it. This cannot be undone.
          </Confirm>
        </>
      )}
    >
      {source && (
        <div className="hw-aside">
          <Stack gap="lg" miw={0}>
            {source.ingestUrl && <Url url={source.ingestUrl} rotate={rotate} provider={provider.data} />}
            <Rejected source={source} />
            <Endpoints source={source} />
          </Stack>
          <Details source={source} />
        </div>
      )}
    </Page>
  );
}

interface UrlProps {
  url: string;
  rotate: () => Promise<void>;
  provider: Schemas["ProviderOut"] | undefined;
}

function Url({ url, rotate, provider }: UrlProps) {
  return (
    <Section
      title="URL"
      description="Give it to the provider. Whoever knows it can post here, but only what is genuine is taken."
      actions={
        <Confirm action="New URL" title="Make a new URL?" run={rotate} icon={<IconRefresh size={15} />}>
          The present one is good for 48 hours more. Change it at the provider within that time.
        </Confirm>
      }
    >
      <Stack gap="sm">
        <Group gap={4} wrap="nowrap" justify="space-between">
          <code className="hw-mono" style={{ overflowWrap: "anywhere" }}>{url}</code>
          <CopyButton value={url} label="Copy URL" />
        </Group>
        {provider && <Setup provider={provider} />}
      </Stack>
    </Section>
  );
}

function Details({ source }: { source: Schemas["IngestSourceOut"] }) {
  const settings = Object.entries(source.settings).filter(([, value]) => value !== null && value !== false);
  return (
    <Section title="Details">
      <Facts>
        <Fact name="Id"><Id id={source.id} /></Fact>
        {source.uid && <Fact name="Uid"><SafeText>{source.uid}</SafeText></Fact>}
        <Fact name="Type">{source.type}</Fact>
        <Fact name="Created"><Time at={source.createdAt} /></Fact>
        {settings.map(([name, value]) => <Fact key={name} name={name}><SafeText>{typeof value === "object" ? JSON.stringify(value) : String(value)}</SafeText></Fact>)}
      </Facts>
      {settings.length === 0 && <Text size="sm" c="dimmed" mt="sm">All of its settings are the provider's.</Text>}
    </Section>
  );
}
