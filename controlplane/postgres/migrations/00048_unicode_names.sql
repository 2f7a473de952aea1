-- +goose NO TRANSACTION
-- +goose Up
-- The code points of a name in Unicode that are not ASCII, and each two adjacent ones of which one is
-- not, as first * 2^21 + second. A label that is not an A-label (RFC 3492 §6.2) is taken as it is.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION unicode_parts(name text) RETURNS bigint[] LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    points bigint[] := '{}'; -- of the name
    parts  bigint[] := '{}';
    label  text;
    output bigint[];
    coded  text;
    pos    integer;
    char   integer;
    digit  integer;
    n      bigint;
    i      bigint;
    before bigint;
    w      bigint;
    k      integer;
    t      integer;
    bias   integer;
    delta  bigint;
    size   integer;
BEGIN
    FOREACH label IN ARRAY string_to_array(name, '.') LOOP
        output := NULL;
        IF label LIKE 'xn--%' THEN
            coded := substr(label, 5);
            pos := length(coded) - strpos(reverse(coded), '-') + 1; -- of the last hyphen, behind the end without one
            IF pos > length(coded) THEN
                output := '{}';
                pos := 0;
            ELSE
                output := ARRAY(SELECT ascii(c) FROM unnest(string_to_array(left(coded, pos - 1), NULL)) c);
            END IF;
            pos := pos + 1;
            n := 128;
            i := 0;
            bias := 72;
            WHILE pos <= length(coded) LOOP
                before := i;
                w := 1;
                k := 36;
                LOOP
                    char := ascii(substr(coded, pos, 1)); -- 0 behind the end
                    pos := pos + 1;
                    digit := CASE WHEN char BETWEEN 97 AND 122 THEN char - 97 WHEN char BETWEEN 48 AND 57 THEN char - 22 END;
                    IF digit IS NULL OR w > 2147483647 OR i > 2147483647 THEN
                        output := NULL;
                        EXIT;
                    END IF;
                    i := i + digit * w;
                    t := least(greatest(k - bias, 1), 26);
                    EXIT WHEN digit < t;
                    w := w * (36 - t);
                    k := k + 36;
                END LOOP;
                EXIT WHEN output IS NULL;
                size := cardinality(output) + 1;
                delta := CASE WHEN before = 0 THEN (i - before) / 700 ELSE (i - before) / 2 END;
                delta := delta + delta / size;
                k := 0;
                WHILE delta > 455 LOOP
                    delta := delta / 35;
                    k := k + 36;
                END LOOP;
                bias := k + 36 * delta / (delta + 38);
                n := n + i / size;
                i := i % size;
                IF n > 1114111 THEN
                    output := NULL;
                    EXIT;
                END IF;
                output := output[1:i] || n || output[i + 1:];
                i := i + 1;
            END LOOP;
        END IF;
        points := points || 46 || coalesce(output, ARRAY(SELECT ascii(c) FROM unnest(string_to_array(label, NULL)) c));
    END LOOP;
    FOR j IN 2 .. cardinality(points) LOOP -- the first one is the dot before the first label
        IF points[j] > 127 THEN
            parts := parts || points[j];
        END IF;
        IF j > 2 AND (points[j - 1] > 127 OR points[j] > 127) THEN
            parts := parts || points[j - 1] * 2097152 + points[j];
        END IF;
    END LOOP;
    RETURN parts;
END $$;
-- +goose StatementEnd

-- Finds the domains of an organization by a part of an international name. Other names are not in it.
DROP INDEX CONCURRENTLY IF EXISTS delegations_unicode;
CREATE INDEX CONCURRENTLY delegations_unicode ON delegations USING gin (org_id, unicode_parts(name)) WITH (fastupdate = off) WHERE name LIKE '%xn--%';

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS delegations_unicode;
DROP FUNCTION unicode_parts;
