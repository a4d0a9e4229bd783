import { Button, NativeSelect } from "@mantine/core";
import { IconDownload, IconReceipt } from "@tabler/icons-react";
import { getRouteApi } from "@tanstack/react-router";
import { $api, api } from "../api/client";
import { DataTable } from "../components/DataTable";
import { TextLink } from "../components/links";
import { failed } from "../components/notify";
import { Page, Section } from "../components/Page";
import { download } from "../components/Payload";
import { SafeText } from "../components/SafeText";
import { EmptyState, ErrorState } from "../components/states";
import { bytes, exact } from "../format";

const route = getRouteApi("/usage");

const PATH = "/api/v1/analytics/usage";

/** As many are offered; an address may name others. */
const MONTHS = 24;
const MONTH = /^\d{4}-(0[1-9]|1[0-2])$/;
const NAME = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "long", timeZone: "UTC" });

/** The newest first. They are months of UTC: a bill is the same wherever it is looked at. */
function recent(): string[] {
  const now = new Date();
  return Array.from({ length: MONTHS }, (_, back) => new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - back)).toISOString().slice(0, 7));
}

export function Usage() {
  const { month: asked = "" } = route.useSearch();
  const months = recent();
  const month = MONTH.test(asked) ? asked : months[0]!;
  const navigate = route.useNavigate();
  const { data, error, refetch } = $api.useQuery("get", PATH, { params: { query: { month } } });
  const save = async () => {
    try {
      const { data } = await api.GET(PATH, { params: { query: { month, format: "csv" } }, parseAs: "blob" });
      download(data!, `usage-${month}.csv`);
    } catch (error) {
      failed(error);
    }
  };
  return (
    <Page
      title="Usage"
      description="What each application used in a month of UTC, for your bills."
      actions={
        <>
          <NativeSelect
            size="xs"
            aria-label="Month"
            data={[...new Set([...months, month])].map((value) => ({ value, label: NAME.format(new Date(value)) }))}
            value={month}
            onChange={({ currentTarget }) => void navigate({ search: { month: currentTarget.value }, replace: true })}
          />
          <Button variant="default" size="xs" leftSection={<IconDownload size={15} />} onClick={() => void save()} disabled={!data?.length}>Export CSV</Button>
        </>
      }
    >
      <Section title="Applications" description="Every try counts as an attempt." flush>
        {error ? <ErrorState error={error} retry={() => void refetch()} /> : (
          <DataTable
            label="Usage"
            rows={data}
            rowKey={(row) => row.appId}
            columns={[
              {
                header: "Application",
                cell: (row) => (
                  <>
                    {row.appName
                      ? <TextLink className="hw-name" to="/app/$appId" params={{ appId: row.appId }}><SafeText>{row.appName}</SafeText></TextLink>
                      : "Deleted"}
                    <span className="hw-sub hw-mono">{row.appUid ? <SafeText>{row.appUid}</SafeText> : row.appId}</span>
                  </>
                ),
              },
              { header: "Messages", cell: (row) => exact(row.messages), align: "right" },
              { header: "Attempts", cell: (row) => exact(row.attempts), align: "right" },
              { header: "Succeeded", cell: (row) => exact(row.successes), align: "right", wide: true },
              { header: "Failed", cell: (row) => exact(row.failures), align: "right", wide: true },
              { header: "Payloads", cell: (row) => bytes(row.bytes), align: "right", wide: true },
            ]}
            empty={<EmptyState title="Nothing was used in this month" icon={<IconReceipt size={22} />}>Choose another month, or send a message.</EmptyState>}
          />
        )}
      </Section>
    </Page>
  );
}
