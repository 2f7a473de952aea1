package controlplane

//go:generate go run ./cmd/catalog
