/** A named, versioned list of hosts that ships with the program. */
export interface Preset {
  name: string;
  /** A whole number, raised with every change of the list. */
  version: string;
  /** Where the list comes from. */
  source: string;
  /** What allowing it means at worst. */
  risk: string;
  /** As in a policy file; ports 80 and 443 each. */
  hosts: readonly string[];
}
