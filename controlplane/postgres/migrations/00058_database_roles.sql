-- +goose Up
-- The database roles that dcvaas migrate keeps supplied with the rights of the parts of the program.
CREATE TABLE database_roles (
    part text PRIMARY KEY, -- serve, work, or dns
    role text NOT NULL
);

-- +goose Down
DROP TABLE database_roles;
