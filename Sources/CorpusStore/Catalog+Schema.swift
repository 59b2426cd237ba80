import Logits

extension Catalog {
    /// The texts of schema/catalog/catalog-vN.sql: each makes version N of the one before. A new catalogue goes through all.
    static var steps: [String] {
        [
            PackageResources.catalog_v1_sql, PackageResources.catalog_v2_sql, PackageResources.catalog_v3_sql,
            PackageResources.catalog_v4_sql, PackageResources.catalog_v5_sql,
        ].map { String(decoding: $0, as: UTF8.self) }
    }

    /// Names of all views.
    static var views: [String] {
        let names = steps.flatMap { step in
            step.split(separator: "\n").filter { $0.hasPrefix("CREATE VIEW ") }.map {
                String($0.split(separator: " ")[2])
            }
        }
        return Set(names).sorted()
    }

    /// The SELECT of a view, as the last step that makes it has it.
    static func definition(of view: String) -> Substring {
        for step in steps.reversed() {
            guard let start = step.firstRange(of: "CREATE VIEW \(view) AS") else { continue }
            return step[start.upperBound...].prefix { $0 != ";" }
        }
        preconditionFailure("the schema has no view \(view)")
    }

    /// Views in a reader's own temporary schema, which needs no write to the file.
    /// - Parameters:
    ///   - version: of the catalogue; one of a former version is shown as one of the present version. Figures that come from
    ///     summaries are then computed from the rows.
    ///   - snapshot: the id of an indexed snapshot, whose rows alone are shown.
    /// - Returns: nothing where there is nothing to hide.
    static func shadows(ofVersion version: Int, at snapshot: String? = nil) -> String {
        let isFormer = (1..<schemaVersion).contains(version)
        guard isFormer || snapshot != nil else { return "" }
        var sql = ""
        if version < 2 {
            sql += """
                CREATE TEMP VIEW row_index AS SELECT *, NULL AS status_8bit FROM main.row_index;
                CREATE TEMP VIEW attack_index AS SELECT *, NULL AS digest FROM main.attack_index;
                """
        }
        let added = [
            (2, ["kept_images"]),
            (3, ["codec", "precision", "file_checksum", "row_digest", "block_rows", "status_8bit", "ordinals"]),
            (4, ["software"]),
        ]
        let missing = added.filter { version < $0.0 }.flatMap(\.1).map { ", NULL AS \($0)" }.joined()
        let restriction = snapshot.map {
            """
             WHERE id IN (SELECT x.unit_id FROM main.snapshot_unit x JOIN main.snapshot_index c ON c.id = x.snapshot_id
                WHERE c.snapshot = '\($0)')
            """
        }
        sql += "CREATE TEMP VIEW unit_index AS SELECT *\(missing) FROM main.unit_index\(restriction ?? "");"
        if version < 4 {
            sql += unsummarised
        } else if snapshot != nil {
            sql += """
                CREATE TEMP VIEW unit_statistic AS SELECT * FROM main.unit_statistic
                WHERE unit_id IN (SELECT id FROM unit_index);
                """
        }
        if version < 5 { sql += unanalysed }
        // No version and no snapshot changes `snapshots`, whose name is a table's of the extension as well.
        for view in views where view != "snapshots" && (version >= 4 || view != "statistics") {
            sql += "CREATE TEMP VIEW \(view) AS\(definition(of: view));"
        }
        return sql
    }

    /// What version 4 reads from summaries, from every row.
    private static var unsummarised: String {
        let values = UnitSummary.statistics.map { name in
            """
            SELECT unit_id, '\(name)' AS statistic, \(name) AS x FROM row_index
            WHERE status IS NOT 3 AND \(name) IS NOT NULL
            """
        }
        return """
            CREATE TEMP VIEW class_index AS
            SELECT d.id AS dataset_id, j.key AS label, j.value AS name FROM main.dataset_index d, json_each(d.class_names) j;
            CREATE TEMP VIEW unit_summary AS
            SELECT unit_id, coalesce(sum(status = 0), 0) AS fooled, coalesce(sum(status = 1), 0) AS failed,
                   coalesce(sum(status = 2), 0) AS trivial, sum(status_8bit = 0) AS fooled_8bit,
                   sum(status_8bit = 1) AS failed_8bit, sum(status_8bit = 2) AS trivial_8bit
            FROM row_index WHERE status IS NOT 3 GROUP BY unit_id;
            CREATE TEMP VIEW unit_mean AS SELECT NULL AS unit_id, NULL AS row_count, NULL AS mean WHERE 0;
            CREATE TEMP VIEW statistics AS
            WITH numbers AS (\(values.joined(separator: " UNION ALL ")))
            SELECT d.name AS dataset, s.name AS split, n.name AS network, a.canonical AS attack, u.view, r.statistic,
                   count(*) AS rows, avg(r.x) AS mean, max(0.0, avg(1.0 * r.x * r.x) - avg(r.x) * avg(r.x)) AS variance,
                   1.0 * min(r.x) AS minimum, 1.0 * max(r.x) AS maximum, total(r.x) AS sum,
                   total(1.0 * r.x * r.x) AS sum_of_squares
            FROM numbers r
            JOIN unit_index u ON u.id = r.unit_id
            JOIN split_index s ON s.id = u.split_id
            JOIN dataset_index d ON d.id = s.dataset_id
            JOIN network_index n ON n.id = u.network_id
            JOIN attack_index a ON a.id = u.attack_id
            GROUP BY r.statistic, s.id, n.id, a.id, u.view;
            """
    }

    /// The tables of version 5, empty.
    private static var unanalysed: String {
        [
            (
                "analysis_index",
                "analysis kind defender weights_digest snapshot dataset split selection network attack images top corrected_only created"
            ),
            ("figure_index", "analysis attack subject measure rows count value low high"),
            (
                "support_index",
                "analysis class name rank count first support pull_count pull_first pull push_count push_first push"
            ),
        ].map { table, columns in
            let values = columns.split(separator: " ").map { "NULL AS \"\($0)\"" }.joined(separator: ", ")
            return "CREATE TEMP VIEW \(table) AS SELECT \(values) WHERE 0;"
        }.joined()
    }
}
