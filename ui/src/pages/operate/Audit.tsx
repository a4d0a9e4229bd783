import { Button } from "@mantine/core";
import { IconDownload, IconHistory } from "@tabler/icons-react";
import { useInfiniteQuery } from "@tanstack/react-query";
import { authorized, pages } from "../../api/client";
import { get, type AuditRow, type Paged } from "../../api/pending";
import { PagedTable } from "../../components/DataTable";
import { failed } from "../../components/notify";
import { Section } from "../../components/Page";
import { download } from "../../components/Payload";
import { SafeText } from "../../components/SafeText";
import { EmptyState } from "../../components/states";
import { Time } from "../../components/Time";

export function Audit() {
  const query = useInfiniteQuery({
    queryKey: ["audit"],
    queryFn: ({ pageParam }) => get<Paged<AuditRow>>("/api/v1/audit-log", { limit: 50, iterator: pageParam }),
    initialPageParam: null as string | null,
    getNextPageParam: pages.getNextPageParam,
  });
  const save = async () => {
    try {
      const response = await authorized("/api/v1/audit-log/export?format=csv");
      download(await response.text(), "audit-log.csv");
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
