import { $api } from "../../api/client";
import { DataTable } from "../../components/DataTable";
import { ErrorState, EmptyState } from "../../components/states";
import { SafeText } from "../../components/SafeText";
import { StatusBadge } from "../../components/StatusBadge";
import { Time } from "../../components/Time";
import { count, duration } from "../../format";

/** Longer than this without a word, and its shards go to others. */
const SILENT_MS = 8_000;

export function Nodes() {
  const { data, error, refetch } = $api.useQuery("get", "/api/v1/operate/nodes", {}, {
    refetchInterval: (query) => (query.state.error ? false : 3_000),
  });
  return (
    <div className="hw-card">
      {error ? <ErrorState error={error} retry={() => void refetch()} /> : (
        <DataTable
          label="Nodes"
          rows={data?.data}
          rowKey={(node) => node.id}
          columns={[
            { header: "Node", cell: (node) => <><strong><SafeText>{node.name}</SafeText></strong>{node.id === data?.self && " (this one)"}<span className="hw-sub hw-mono">{node.version}</span></> },
            { header: "State", cell: (node) => node.leaving ? <StatusBadge tone="warn">Leaving</StatusBadge> : node.silentForMs > SILENT_MS ? <StatusBadge tone="bad">Silent</StatusBadge> : <StatusBadge tone="good">Up</StatusBadge> },
            { header: "Last heard", cell: (node) => `${duration(node.silentForMs)} ago`, wide: true },
            { header: "Shards", cell: (node) => count(node.shards), align: "right" },
            { header: "Overdue endpoints", cell: (node) => <>{count(node.overdueLanes)}{node.oldestOverdue && <span className="hw-sub">since <Time at={node.oldestOverdue} ago /></span>}</>, align: "right", wide: true },
            { header: "Up since", cell: (node) => <Time at={node.startedAt} ago />, align: "right", wide: true },
          ]}
          empty={<EmptyState title="No node is up" />}
        />
      )}
    </div>
  );
}
