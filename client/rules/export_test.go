package rules

// WeaknessOf is weaknessOf, for moduli that no library signs with.
var WeaknessOf = weaknessOf
