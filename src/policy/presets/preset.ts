/** A named, versioned list of hosts that ships with the program. */
export interface Preset {
  name: string;
  /** Date of the last change to the list. */
  version: string;
  /** Where the list comes from. */
  source: string;
  /** What allowing it means at worst. */
  risk: string;
  /** Patterns as in a policy file; ports 80 and 443 each, unless `ports` says otherwise. */
  hosts: readonly string[];
}
