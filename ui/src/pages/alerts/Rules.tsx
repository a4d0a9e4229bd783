import { Button, Group } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconBellPlus, IconPlus } from "@tabler/icons-react";
import { useQueryClient } from "@tanstack/react-query";
import { $api, api, pages, type Schemas } from "../../api/client";
import { Confirm } from "../../components/Confirm";
import { PagedTable } from "../../components/DataTable";
import { failed } from "../../components/notify";
import { Section } from "../../components/Page";
import { SafeText, visible } from "../../components/SafeText";
import { StatusBadge } from "../../components/StatusBadge";
import { EmptyState } from "../../components/states";
import { duration } from "../../format";
import { channelText, fromOut, toIn } from "./channels";
import { sentence } from "./conditions";
import { RuleForm } from "./RuleForm";
import { TestNotice } from "./TestNotice";

type Rule = Schemas["AlertRuleOut"];

const LIST = "/api/v1/alert/rule";
const ONE = "/api/v1/alert/rule/{rule_id}";

/** Reads rules, and the alerts that end with them, anew. */
function useRefresh() {
  const queries = useQueryClient();
  return () => queries.invalidateQueries({ predicate: ({ queryKey }) => String(queryKey[1]).startsWith("/api/v1/alert") });
}

export function Rules() {
  const query = $api.useInfiniteQuery("get", LIST, { params: { query: { limit: 50 } } }, pages);
  return (
    <Section title="Rules" description="What is watched, and who is told." flush actions={<Create />}>
      <PagedTable
        label="Rules"
        query={query}
        rowKey={(rule) => rule.id}
        columns={[
          { header: "Rule", cell: (rule) => <><strong><SafeText>{rule.name}</SafeText></strong><span className="hw-sub"><SafeText>{sentence(rule.condition)}</SafeText>{rule.holdSecs > 0 && `. It must last for ${duration(rule.holdSecs * 1000)}`}</span></> },
          { header: "Tells", cell: (rule) => rule.channels.length ? rule.channels.map((channel, index) => <span key={index} className="hw-chip"><SafeText>{channelText(channel)}</SafeText></span>) : "Nobody", wide: true },
          { header: "State", cell: (rule) => <StatusBadge tone={rule.enabled ? "good" : "quiet"}>{rule.enabled ? "On" : "Off"}</StatusBadge>, wide: true },
          { header: "Actions", cell: (rule) => <Actions rule={rule} />, align: "right" },
        ]}
        empty={
          <EmptyState title="No rules yet" icon={<IconBellPlus size={22} />}>
            A rule watches your traffic, and tells you when something is wrong with it, and when it is right again.
          </EmptyState>
        }
      />
    </Section>
  );
}

function Create() {
  const [opened, { open, close }] = useDisclosure();
  const refresh = useRefresh();
  const save = async (body: Schemas["AlertRuleIn"]) => {
    await api.POST(LIST, { body });
    await refresh();
  };
  return (
    <>
      <Button size="xs" leftSection={<IconPlus size={15} />} onClick={open}>Create rule</Button>
      <RuleForm title="Create rule" action="Create" opened={opened} onClose={close} save={save} />
    </>
  );
}

function Actions({ rule }: { rule: Rule }) {
  const [opened, { open, close }] = useDisclosure();
  const refresh = useRefresh();
  const params = { path: { rule_id: rule.id } };
  const replace = async (body: Schemas["AlertRuleIn"]) => {
    await api.PUT(ONE, { params, body });
    await refresh();
  };
  const remove = async () => {
    await api.DELETE(ONE, { params });
    await refresh();
  };
  const turn = (enabled: boolean) => {
    const { name, condition, holdSecs, channels } = rule;
    return replace({ name, condition, holdSecs, channels: toIn(fromOut(channels)), enabled });
  };
  const button = { size: "compact-xs" };
  return (
    <Group gap={4} justify="flex-end">
      <TestNotice rule={rule} />
      <Button {...button} variant="default" onClick={open}>Edit</Button>
      {rule.enabled ? (
        <Confirm action="Disable" title="Disable this rule?" run={() => turn(false)} button={button}>
          It is not looked at any more, and its open alerts end. Nobody is told of that.
        </Confirm>
      ) : <Button {...button} variant="default" onClick={() => void turn(true).catch(failed)}>Enable</Button>}
      <Confirm action="Delete" title={`Delete “${visible(rule.name)}”?`} danger run={remove} button={button}>
        Its open alerts end, and nobody is told of that. This cannot be undone.
      </Confirm>
      <RuleForm title="Edit rule" action="Save" opened={opened} onClose={close} from={rule} save={replace} />
    </Group>
  );
}
