/** What the made-up people of the pictures say. Not part of the app's words: nobody meets them outside of pictures. */
export interface Script {
  readonly me: string;
  readonly relay: string;
  readonly names: readonly [string, string, string, string, string, string];
  readonly stranger: string;
  readonly gone: string;
  readonly talk: readonly [string, string, string, string, string, string, string, string];
  readonly lines: readonly [string, string, string, string, string, string];
  readonly draft: string;
  readonly request: string;
}

export const SCRIPTS: Readonly<Record<string, Script>> = {
  en: {
    me: 'Nadia Brandt',
    relay: 'Lindenhof relay',
    names: ['Marta Ilves', 'Jonas Okafor', 'Aylin Demir', 'Choir, Tuesdays', 'Peter Novák', 'Samira Haddad'],
    stranger: 'Tom',
    gone: 'Old landlord',
    talk: [
      'Are you back from the archive?',
      'Since yesterday. Two boxes of letters, most of them unread for eighty years.',
      'I found the second half of the diary.',
      'It was between the maps all along.',
      'Don’t tell anyone yet. Not even the museum.',
      'Can we meet on Thursday, the usual place?',
      'Thursday is good. Half past six?',
      'Perfect. I’ll bring the photographs 📷',
    ],
    lines: ['The train is late again', 'Shall I wait for you at the corner?', 'I’ll send you the address tonight', 'Next rehearsal is in the small hall', 'Did you get a new phone?', 'Happy birthday! 🎂'],
    draft: 'About the keys: I left',
    request: 'Hello, Marta gave me your number. May I ask you about the diary?',
  },
  ar: {
    me: 'نادية برانت',
    relay: 'خادم ليندنهوف',
    names: ['مارتا إيلفس', 'يونس عبد الله', 'آيلين دمير', 'جوقة الثلاثاء', 'بيتر نوفاك', 'سميرة حداد'],
    stranger: 'توم',
    gone: 'المالك السابق',
    talk: ['هل عدت من دار المحفوظات؟', 'منذ أمس. صندوقان من الرسائل لم يقرأ أحد معظمها منذ ثمانين عامًا.', 'وجدت النصف الثاني من اليوميات.', 'كان بين الخرائط طوال الوقت.', 'لا تخبري أحدًا بعد، ولا حتى المتحف.', 'هل نلتقي يوم الخميس في المكان المعتاد؟', 'الخميس مناسب. السادسة والنصف؟', 'ممتاز. سأحضر الصور معي 📷'],
    lines: ['تأخر القطار مرة أخرى', 'هل أنتظرك عند الزاوية؟', 'سأرسل لك العنوان الليلة', 'التدريب القادم في القاعة الصغيرة', 'هل لديك هاتف جديد؟', 'عيد ميلاد سعيد! 🎂'],
    draft: 'بخصوص المفاتيح: تركتها',
    request: 'مرحبًا، أعطتني مارتا رقمك. هل أسألك عن اليوميات؟',
  },
};
