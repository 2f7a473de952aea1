package postgres

import "context"

// CountUnserved returns how many domains of all organizations have a job that waits because the
// validation zone does not answer: the resolvers do not find the target, a name server does not
// serve the challenge, or the probe fails. It reads only these, by index.
func (s *Store) CountUnserved(ctx context.Context) (n int, err error) {
	err = s.db.QueryRow(ctx, `SELECT count(DISTINCT domain_id) FROM (`+unservedJobs("domain_id")+
		`) waiting`).Scan(&n)
	return n, translate(err, "", "")
}

// unservedJobs selects a column of the jobs that wait for the validation zone. Each part is the
// condition of an index.
func unservedJobs(column string) string {
	return `SELECT ` + column + ` FROM jobs WHERE status = 'queued' AND reason IN ('target-not-served', 'zone-not-answering')
		UNION ALL SELECT ` + column + ` FROM jobs WHERE status = 'queued' AND reason = 'validation-zone-unreachable'`
}
