import { Stack, Tabs } from "@mantine/core";
import { IconBell, IconCircleCheck } from "@tabler/icons-react";
import { getRouteApi } from "@tanstack/react-router";
import { LOOKED_AT_MS, useOpenAlerts } from "../api/alerts";
import { $api, pages } from "../api/client";
import { DataTable, PagedTable } from "../components/DataTable";
import { TextLink } from "../components/links";
import { Page, Section } from "../components/Page";
import { EmptyState, ErrorState } from "../components/states";
import { firedColumns } from "./alerts/Fired";
import { Rules } from "./alerts/Rules";

const route = getRouteApi("/alerts");

export function Alerts() {
  const { tab = "alerts" } = route.useSearch();
  const navigate = route.useNavigate();
  return (
    <Page title="Alerts" description="What is wrong with your traffic, what was, and who is told of it.">
      <Tabs value={tab} onChange={(tab) => void navigate({ search: tab === "rules" ? { tab } : {}, replace: true })} keepMounted={false}>
        <Tabs.List mb="lg" className="hw-tabs">
          <Tabs.Tab value="alerts">Alerts</Tabs.Tab>
          <Tabs.Tab value="rules">Rules</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="alerts"><Stack gap="lg"><Open /><History /></Stack></Tabs.Panel>
        <Tabs.Panel value="rules"><Rules /></Tabs.Panel>
      </Tabs>
    </Page>
  );
}

function Open() {
  const { data, error, refetch } = useOpenAlerts();
  return (
    <Section title="Open" description="What is wrong now." flush>
      {error ? <ErrorState error={error} retry={() => void refetch()} /> : (
        <DataTable
          label="Open alerts"
          rows={data?.data}
          columns={firedColumns.filter(({ header }) => header !== "Over")}
          rowKey={(alert) => alert.id}
          empty={<EmptyState title="Nothing is wrong" icon={<IconCircleCheck size={22} />}>No rule has found anything. <TextLink to="/alerts" search={{ tab: "rules" }}>See the rules</TextLink>.</EmptyState>}
        />
      )}
    </Section>
  );
}

function History() {
  const query = $api.useInfiniteQuery(
    "get",
    "/api/v1/alert",
    { params: { query: { limit: 50 } } },
    { ...pages, refetchInterval: (query) => (query.state.error ? false : LOOKED_AT_MS) },
  );
  return (
    <Section title="History" description="All that fired, the newest first." flush>
      <PagedTable
        label="All alerts"
        query={query}
        columns={firedColumns}
        rowKey={(alert) => alert.id}
        empty={<EmptyState title="Nothing has fired yet" icon={<IconBell size={22} />}>Alerts stay here as long as history is kept.</EmptyState>}
      />
    </Section>
  );
}
