/** What a label looks like at a glance: labels with the same skeleton are easily taken for one another. */

/** Letters and, below each, the ASCII letter it passes for. The idea of UTS 39, shortened to what host names hold. */
const LOOKS: ReadonlyArray<readonly [string, string]> = [
  // digits and the letters that cannot be told apart in many fonts
  ['0134569782iq', 'oleasbgtbzlg'],
  // Cyrillic
  ['авсԁеєҽғցһніјкӏмпиоөргѕтцѵѡԝшхуүзьԛэ', 'abcdeeefghhljklmnnooprstuvwwwxyyebge'],
  // Greek
  ['αβςδεηικμνοπρστυωχγ', 'abcdenlkmvonpotuwxy'],
  // Armenian
  ['ագեզհմյղլոսցքօ', 'wgtghujnlnugpo'],
  // Latin beyond ASCII
  ['ıȷɑɓɔƈɗđðɛǝƒɡɠħɪɩłʟɱŋɴøɵþƥʀɍʂŧƭʋᴠᴡƴʏƶʐß', 'ljabccdddeefgghllllmnnoopprrsttuvwyyzzb'],
  // small capitals
  ['ᴀʙᴄᴅᴇꜰɢʜᴊᴋᴍᴏᴘꜱᴛᴜᴢ', 'abcdefghjkmopstuz'],
];
const LETTER_FOR = new Map(
  LOOKS.flatMap(([letters, meant]) => Array.from(letters, (letter, i) => [letter, meant[i]!] as const)),
);

/** ASCII, except for characters that look like none: they stay as they are. */
export function skeletonOf(label: string): string {
  const bare = label.normalize('NFKD').replace(/\p{M}/gu, '');
  const letters = Array.from(bare, (character) => LETTER_FOR.get(character) ?? character).join('');
  return letters.replaceAll('rn', 'm').replaceAll('vv', 'w').replaceAll('cl', 'd');
}
