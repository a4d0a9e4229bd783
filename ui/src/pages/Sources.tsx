import { IconPlugConnected } from "@tabler/icons-react";
import { $api, pages, type Schemas } from "../api/client";
import { PagedTable, type Column } from "../components/DataTable";
import { TextLink } from "../components/links";
import { Page } from "../components/Page";
import { SafeText } from "../components/SafeText";
import { StatusBadge } from "../components/StatusBadge";
import { EmptyState } from "../components/states";
import { Time } from "../components/Time";
import { CreateSource } from "./source/Create";

const COLUMNS: Column<Schemas["IngestSourceOut"]>[] = [
  {
    header: "Source",
    cell: (source) => (
      <>
        <TextLink className="hw-name" to="/source/$sourceId" params={{ sourceId: source.id }}><SafeText>{source.name}</SafeText></TextLink>
        {source.uid && <span className="hw-sub hw-mono"><SafeText>{source.uid}</SafeText></span>}
      </>
    ),
  },
  { header: "Type", cell: (source) => <span className="hw-chip">{source.type}</span> },
  { header: "State", cell: (source) => <StatusBadge tone={source.settings.disabled ? "quiet" : "good"}>{source.settings.disabled ? "Disabled" : "Enabled"}</StatusBadge>, wide: true },
  { header: "Created", cell: (source) => <Time at={source.createdAt} ago />, align: "right" },
];

export function Sources() {
  const query = $api.useInfiniteQuery("get", "/ingest/api/v1/source", { params: { query: { limit: 50, order: "descending" } } }, pages);
  return (
    <Page
      title="Sources"
      description="Where others post their webhooks to you: each source has a URL for one provider, verifies what comes, and passes it on."
      actions={<CreateSource />}
    >
      <div className="hw-card">
        <PagedTable
          label="Sources"
          query={query}
          columns={COLUMNS}
          rowKey={(source) => source.id}
          empty={
            <EmptyState title="No sources yet" icon={<IconPlugConnected size={22} />} action={<CreateSource />}>
              Create one for Stripe, GitHub or any other provider, and give it the URL.
            </EmptyState>
          }
        />
      </div>
    </Page>
  );
}
