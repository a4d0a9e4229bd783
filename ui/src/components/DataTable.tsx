import { Button, Center, Skeleton, Table } from "@mantine/core";
import { useRouter } from "@tanstack/react-router";
import type { MouseEvent, ReactNode } from "react";
import { ErrorState } from "./states";

export interface Column<Row> {
  header: string;
  cell: (row: Row) => ReactNode;
  /** Left out where there is little room. */
  wide?: boolean;
  align?: "right";
  width?: number | string;
}

/** What a list is read with: TanStack's infinite query, or as much of it. */
interface Pages<Row> {
  data: { pages: { data: Row[] }[] } | undefined;
  error: unknown;
  isPending: boolean;
  hasNextPage: boolean;
  isFetchingNextPage: boolean;
  fetchNextPage: () => unknown;
  refetch: () => unknown;
}

interface Props<Row> {
  label: string;
  rows: Row[] | undefined;
  columns: Column<Row>[];
  rowKey: (row: Row) => string;
  /** Shown where there are no rows. */
  empty: ReactNode;
}

/** Rows of a list. A click anywhere in a row follows the first link in it. */
export function DataTable<Row>({ label, rows, columns, rowKey, empty }: Props<Row>) {
  const router = useRouter();
  if (rows?.length === 0) return empty;
  const follow = (event: MouseEvent<HTMLElement>) => {
    const target = event.target as HTMLElement;
    if (target.closest("a, button, input, label") || window.getSelection()?.toString()) return;
    const link = event.currentTarget.querySelector<HTMLAnchorElement>("a[href]");
    if (link?.origin === location.origin && !link.target) {
      if (event.metaKey || event.ctrlKey) window.open(link.href, "_blank", "noopener");
      else router.history.push(link.pathname + link.search);
    }
  };
  const place = (column: Column<Row>) => ({
    className: column.wide ? "hw-wide" : undefined,
    style: { textAlign: column.align, width: column.width },
  });
  return (
    <Table.ScrollContainer minWidth={0} type="native">
      <Table className="hw-table" aria-label={label} aria-busy={!rows}>
        <Table.Thead>
          <Table.Tr>
            {columns.map((column) => <Table.Th key={column.header} scope="col" {...place(column)}>{column.header}</Table.Th>)}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rows
            ? rows.map((row) => (
                <Table.Tr key={rowKey(row)} onClick={follow}>
                  {columns.map((column) => <Table.Td key={column.header} {...place(column)}>{column.cell(row)}</Table.Td>)}
                </Table.Tr>
              ))
            : Array.from({ length: 5 }, (_, index) => (
                <Table.Tr key={index}>
                  {columns.map((column) => <Table.Td key={column.header} {...place(column)}><Skeleton h={14} w="70%" /></Table.Td>)}
                </Table.Tr>
              ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

/** The same for a list that comes in pages. */
export function PagedTable<Row>({ query, ...rest }: Omit<Props<Row>, "rows"> & { query: Pages<Row> }) {
  if (query.error) return <ErrorState error={query.error} retry={() => void query.refetch()} />;
  return (
    <>
      <DataTable rows={query.data?.pages.flatMap((page) => page.data)} {...rest} />
      {query.hasNextPage && (
        <Center p="sm" className="hw-more">
          <Button variant="default" size="xs" loading={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
            Load more
          </Button>
        </Center>
      )}
    </>
  );
}
