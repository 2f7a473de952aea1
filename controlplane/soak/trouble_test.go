package soak

import (
	"time"
)

// startFaults starts the faults that are due. Lasting faults are read from the scenario; this
// starts the immediate ones.
func (w *world) startFaults() {
	for ; w.started < len(w.scenario.faults) &&
		!w.scenario.faults[w.started].from.After(w.clock.Now()); w.started++ {
		f := w.scenario.faults[w.started]
		w.seen.kinds[f.kind]++
		switch f.kind {
		case redisAway:
			w.redis.Close() // tasks that workers already have run without it
		case redisEmptied:
			w.emptyRedis()
		case workersDie:
			w.dying = true
		}
	}
}

// restore runs after a fault has started and the running jobs have experienced it. It ends the
// faults whose time is over.
func (w *world) restore() {
	now := w.clock.Now()
	if w.dying && len(w.killed) > 0 {
		w.dying = false
		w.startWorkers()
	}
	w.transport.away = w.scenario.during(now, redisAway) != nil
	for ; w.restored < w.started && !w.scenario.faults[w.restored].to.After(now); w.restored++ {
		if w.scenario.faults[w.restored].kind == redisAway {
			must(w.t, w.redis.Restart())
			w.startWorkers()
		}
	}
}

// emptyRedis removes all data from Redis, and does what the reconciler does about it.
func (w *world) emptyRedis() {
	w.redis.FlushAll()
	w.transport.tasks = map[task]bool{}
	_, err := w.store.RedispatchAll(w.t.Context())
	must(w.t, err)
}

// noneExpired checks the most important assertion: no domain has an expired certificate.
func (w *world) noneExpired() {
	rows, err := w.own.Query(w.t.Context(),
		`SELECT name, profile, expires_at, conditions::text FROM domains WHERE certificate_id <> '' AND expires_at <= $1`, w.clock.Now())
	must(w.t, err)
	defer rows.Close()
	for rows.Next() {
		var name, profile, conditions string
		var ended time.Time
		must(w.t, rows.Scan(&name, &profile, &ended, &conditions))
		w.t.Errorf("at %s: the certificate of %s (%s) expired at %s: %s", w.clock.Now(), name,
			profile, ended, conditions)
	}
	must(w.t, rows.Err())
}
