package soak

import (
	"time"
)

// begin lets the faults begin whose time has come. What goes on for a while is seen by who
// asks the scenario; here is what happens at once.
func (w *world) begin() {
	for ; w.begun < len(w.scenario.faults) && !w.scenario.faults[w.begun].from.After(w.clock.Now()); w.begun++ {
		f := w.scenario.faults[w.begun]
		w.seen.kinds[f.kind]++
		switch f.kind {
		case redisAway:
			w.redis.Close() // what was handed to workers before is done without it
		case redisEmptied:
			w.emptyRedis()
		case workersDie:
			w.dying = true
		}
	}
}

// restore follows a fault's beginning, when the jobs that were under way have been through it,
// and ends those whose time is over.
func (w *world) restore() {
	now := w.clock.Now()
	if w.dying && len(w.killed) > 0 {
		w.dying = false
		w.startWorkers()
	}
	w.transport.away = w.scenario.during(now, redisAway) != nil
	for ; w.restored < w.begun && !w.scenario.faults[w.restored].to.After(now); w.restored++ {
		if w.scenario.faults[w.restored].kind == redisAway {
			must(w.t, w.redis.Restart())
			w.startWorkers()
		}
	}
}

// emptyRedis loses everything that Redis holds, and does what the reconciler does about it.
func (w *world) emptyRedis() {
	w.redis.FlushAll()
	w.transport.tasks = map[task]bool{}
	_, err := w.store.RedispatchAll(w.t.Context())
	must(w.t, err)
}

// noneEnded checks what matters most: that no domain is left with a certificate that has
// ended.
func (w *world) noneEnded() {
	rows, err := w.own.Query(w.t.Context(), `SELECT name, profile, expires_at, conditions::text FROM domains WHERE certificate_id <> '' AND expires_at <= $1`, w.clock.Now())
	must(w.t, err)
	defer rows.Close()
	for rows.Next() {
		var name, profile, conditions string
		var ended time.Time
		must(w.t, rows.Scan(&name, &profile, &ended, &conditions))
		w.t.Errorf("at %s the certificate of %s (%s) has ended, %s: %s", w.clock.Now(), name, profile, ended, conditions)
	}
	must(w.t, rows.Err())
}
