import { Button } from "@mantine/core";
import { IconDownload, IconHistory } from "@tabler/icons-react";
import { $api, api, pages } from "../../api/client";
import { PagedTable } from "../../components/DataTable";
import { failed } from "../../components/notify";
import { Section } from "../../components/Page";
import { download } from "../../components/Payload";
import { SafeText } from "../../components/SafeText";
import { EmptyState } from "../../components/states";
import { Time } from "../../components/Time";

export function Audit() {
  const query = $api.useInfiniteQuery("get", "/api/v1/audit-log", { params: { query: { limit: 50 } } }, pages);
  const save = async () => {
    try {
      const { data } = await api.GET("/api/v1/audit-log/export", { params: { query: { format: "csv" } }, parseAs: "blob" });
      download(data!, "audit-log.csv");
    } catch (error) {
      failed(error);
    }
  };
  return (
    <Section
      title="Audit log"
      description="Who changed what, the newest first."
      flush
      actions={<Button variant="default" size="xs" leftSection={<IconDownload size={15} />} onClick={() => void save()}>Export CSV</Button>}
    >
      <PagedTable
        label="Audit log"
        query={query}
        rowKey={(row) => row.id}
        columns={[
          { header: "What", cell: (row) => <><strong><SafeText>{row.action}</SafeText></strong><span className="hw-sub hw-mono"><SafeText>{row.target}</SafeText></span></> },
          { header: "Who", cell: (row) => <span className="hw-mono"><SafeText>{row.actor}</SafeText></span> },
          { header: "Detail", cell: (row) => <span className="hw-mono hw-clip"><SafeText>{row.detail === null || row.detail === undefined ? "–" : typeof row.detail === "string" ? row.detail : JSON.stringify(row.detail)}</SafeText></span>, wide: true },
          { header: "When", cell: (row) => <Time at={row.at} />, align: "right" },
        ]}
        empty={<EmptyState title="Nothing was changed yet" icon={<IconHistory size={22} />} />}
      />
    </Section>
  );
}
