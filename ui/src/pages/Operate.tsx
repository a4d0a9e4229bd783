import { Tabs } from "@mantine/core";
import { getRouteApi } from "@tanstack/react-router";
import { Page } from "../components/Page";
import { Audit } from "./operate/Audit";
import { Nodes } from "./operate/Nodes";
import { Settings } from "./operate/Settings";
import { Storage } from "./operate/Storage";
import { Tokens } from "./operate/Tokens";

const route = getRouteApi("/operate");

const TABS = { nodes: "Nodes", storage: "Storage", tokens: "Tokens", audit: "Audit log", settings: "Settings" };

export function Operate() {
  const { tab = "nodes" } = route.useSearch();
  const navigate = route.useNavigate();
  return (
    <Page title="Operate" description="The servers themselves, who may use them, and who changed what.">
      <Tabs value={tab} onChange={(tab) => void navigate({ search: tab ? { tab } : {}, replace: true })} keepMounted={false}>
        <Tabs.List mb="lg" className="hw-tabs">
          {Object.entries(TABS).map(([value, label]) => <Tabs.Tab key={value} value={value}>{label}</Tabs.Tab>)}
        </Tabs.List>
        <Tabs.Panel value="nodes"><Nodes /></Tabs.Panel>
        <Tabs.Panel value="storage"><Storage /></Tabs.Panel>
        <Tabs.Panel value="tokens"><Tokens /></Tabs.Panel>
        <Tabs.Panel value="audit"><Audit /></Tabs.Panel>
        <Tabs.Panel value="settings"><Settings /></Tabs.Panel>
      </Tabs>
    </Page>
  );
}
