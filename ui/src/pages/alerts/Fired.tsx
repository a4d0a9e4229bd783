import type { Schemas } from "../../api/client";
import type { Column } from "../../components/DataTable";
import { TextLink } from "../../components/links";
import { SafeText } from "../../components/SafeText";
import { StatusBadge } from "../../components/StatusBadge";
import { Time } from "../../components/Time";

type Alert = Schemas["AlertOut"];

export function AlertState({ alert }: { alert: Alert }) {
  return alert.clearedAt ? <StatusBadge tone="quiet">Over</StatusBadge> : <StatusBadge tone="bad">Open</StatusBadge>;
}

/** What all its notices together have come to. */
function Told({ notices }: { notices: Alert["notices"] }) {
  const missing = notices.filter(({ sentAt }) => !sentAt);
  if (missing.length > 0) return <StatusBadge tone="warn">{`${missing.length} not sent`}</StatusBadge>;
  return <span className="hw-time">{notices.length === 0 ? "Nobody" : "Everybody"}</span>;
}

export const firedColumns: Column<Alert>[] = [
  {
    header: "Alert",
    cell: (alert) => (
      <>
        <TextLink className="hw-name" to="/alerts/$alertId" params={{ alertId: alert.id }}><SafeText>{alert.ruleName}</SafeText></TextLink>
        <span className="hw-sub"><SafeText>{alert.text}</SafeText></span>
      </>
    ),
  },
  { header: "State", cell: (alert) => <AlertState alert={alert} /> },
  { header: "Told", cell: ({ notices }) => <Told notices={notices} />, wide: true },
  { header: "Fired", cell: (alert) => <Time at={alert.firedAt} ago />, align: "right", wide: true },
  { header: "Over", cell: (alert) => <Time at={alert.clearedAt} ago />, align: "right", wide: true },
];
